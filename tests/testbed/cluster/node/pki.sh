#!/bin/bash
# Certificate authority, the components' certificates and their kubeconfigs. Under a second (EC keys).
# Environment: NODE_HOME, NODE_NAME, NODE_IP, API_SERVICE_IP.
set -euo pipefail
mkdir -p "$NODE_HOME/pki"
cd "$NODE_HOME/pki"
umask 077

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }
certificate() { # name, subject, subject alternative names
  key "$1"
  openssl req -new -key "$1.key" -out "$1.csr" -subj "$2"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -out "$1.crt" -days 3650 \
    -extfile <(printf '%bextendedKeyUsage=serverAuth,clientAuth' "${3:+subjectAltName=$3\n}") 2>/dev/null
}
kubeconfig() { # name
  cat > "../$1.kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: testbed, cluster: {server: "https://$NODE_IP:6443", certificate-authority-data: $(base64 -w0 ca.crt)}}]
users: [{name: $1, user: {client-certificate-data: $(base64 -w0 "$1.crt"), client-key-data: $(base64 -w0 "$1.key")}}]
contexts: [{name: testbed, context: {cluster: testbed, user: $1}}]
current-context: testbed
YAML
}

key ca
openssl req -x509 -new -key ca.key -out ca.crt -days 3650 -subj /CN=testbed-ca \
  -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature
openssl genrsa -out sa.key 2048 2>/dev/null
openssl rsa -in sa.key -pubout -out sa.pub 2>/dev/null
certificate apiserver /CN=kube-apiserver "IP:127.0.0.1,IP:$NODE_IP,IP:$API_SERVICE_IP,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
certificate kubelet-server "/CN=$NODE_NAME" "IP:$NODE_IP,DNS:$NODE_NAME"
certificate metrics-server-tls /CN=metrics-server "DNS:metrics-server.kube-system.svc,IP:$NODE_IP"
certificate front-proxy /CN=front-proxy
certificate admin /O=system:masters/CN=admin
certificate controller-manager /CN=system:kube-controller-manager
certificate scheduler /CN=system:kube-scheduler
certificate kubelet "/O=system:nodes/CN=system:node:$NODE_NAME"
certificate proxy /CN=system:kube-proxy
# Named like the service account, so that metrics-server's upstream RBAC applies to the process.
certificate metrics-server /CN=system:serviceaccount:kube-system:metrics-server
for name in admin controller-manager scheduler kubelet proxy metrics-server; do kubeconfig "$name"; done
