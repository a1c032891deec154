#!/bin/bash
# PID 1 of the node's own process, network and mount namespaces. When it dies the kernel takes everything with it.
# Environment: NODE_HOME, NODE_NAME, NODE_IP, POD_NET, SERVICE_NET, STORE_SIZE, PYTHON.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$NODE_HOME" || exit 1
bin=$NODE_HOME/bin pki=$NODE_HOME/pki logs=$NODE_HOME/logs state=$NODE_HOME/state hold=$NODE_HOME/hold
export PATH=$bin:$PATH

# Shared among ourselves only: this is a private copy of the machine's mounts. Every component then keeps
# its default paths, and nothing collides with the machine's own.
mount --make-rshared / || exit 1
for folder in run var/lib var/log; do
  mkdir -p "$state/$folder" && mount --bind "$state/$folder" "/$folder" || exit 1
done
mkdir -p /run/netns /run/lock /var/lib/kubelet /var/lib/cni /var/lib/containerd /var/log/pods
mount -t tmpfs -o "size=$STORE_SIZE,mode=700" images /var/lib/containerd || exit 1

ip link set lo up
for _ in $(seq 200); do ip link show eth0 >/dev/null 2>&1 && break; sleep 0.05; done
ip addr add "$NODE_IP/24" dev eth0 && ip link set eth0 up || exit 1
# Local connects to a service address need some route before they are rewritten. There is no default route:
# the cluster is hermetic, and what leaves its three subnets fails at once instead of hanging.
ip route add "$SERVICE_NET" dev eth0
sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1 net.ipv4.conf.all.rp_filter=0

mkdir -p "$logs" "$hold"
# A component is started again half a second after it ends, unless $hold/<name> exists (outage tests);
# its process id, as seen in here, is in $logs/<name>.pid.
run() {
  local name=$1
  shift
  : > "$logs/$name.log"
  (while :; do
    if [ ! -e "$hold/$name" ]; then
      "$@" >> "$logs/$name.log" 2>&1 &
      echo $! > "$logs/$name.pid"
      wait $!
      echo "--- $name ended: $?" >> "$logs/$name.log"
    fi
    sleep 0.5
  done) &
}

run etcd etcd --data-dir "$state/etcd" --unsafe-no-fsync --listen-client-urls http://127.0.0.1:2379 \
  --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
run containerd containerd -c "$NODE_HOME/containerd.toml"
run apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 --service-cluster-ip-range="$SERVICE_NET" \
  --bind-address=0.0.0.0 --advertise-address="$NODE_IP" --secure-port=6443 \
  --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" --client-ca-file="$pki/ca.crt" \
  --service-account-key-file="$pki/sa.pub" --service-account-signing-key-file="$pki/sa.key" \
  --service-account-issuer=https://kubernetes.default.svc \
  --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --allow-privileged=true \
  --kubelet-client-certificate="$pki/admin.crt" --kubelet-client-key="$pki/admin.key" \
  --kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP \
  --requestheader-client-ca-file="$pki/ca.crt" --requestheader-allowed-names=front-proxy \
  --requestheader-username-headers=X-Remote-User --requestheader-group-headers=X-Remote-Group \
  --requestheader-extra-headers-prefix=X-Remote-Extra- \
  --proxy-client-cert-file="$pki/front-proxy.crt" --proxy-client-key-file="$pki/front-proxy.key" \
  --enable-aggregator-routing=true \
  --audit-policy-file="$here/audit-policy.yaml" --audit-log-path="$logs/audit.log" --audit-log-format=json \
  --audit-log-mode=blocking --audit-log-maxsize=2000
for _ in $(seq 600); do
  kubectl --kubeconfig admin.kubeconfig get --raw /readyz >/dev/null 2>&1 && break
  sleep 0.1
done
run controller-manager kube-controller-manager --kubeconfig=controller-manager.kubeconfig \
  --service-account-private-key-file="$pki/sa.key" --root-ca-file="$pki/ca.crt" --use-service-account-credentials \
  --leader-elect=false --cluster-signing-cert-file="$pki/ca.crt" --cluster-signing-key-file="$pki/ca.key" \
  --allocate-node-cidrs=false --horizontal-pod-autoscaler-sync-period=5s \
  --horizontal-pod-autoscaler-cpu-initialization-period=10s --horizontal-pod-autoscaler-initial-readiness-delay=5s
run scheduler kube-scheduler --kubeconfig=scheduler.kubeconfig --leader-elect=false
run kubelet kubelet --kubeconfig=kubelet.kubeconfig --config=kubelet.yaml --hostname-override="$NODE_NAME" \
  --node-ip="$NODE_IP"
run kube-proxy kube-proxy --config=kube-proxy.yaml --hostname-override="$NODE_NAME"
run metrics-server metrics-server --kubeconfig=metrics-server.kubeconfig \
  --authentication-kubeconfig=metrics-server.kubeconfig --authorization-kubeconfig=metrics-server.kubeconfig \
  --secure-port=4443 --tls-cert-file="$pki/metrics-server-tls.crt" --tls-private-key-file="$pki/metrics-server-tls.key" \
  --kubelet-certificate-authority="$pki/ca.crt" --kubelet-preferred-address-types=InternalIP \
  --metric-resolution=10s --kubelet-request-timeout=5s
run network-policy "$PYTHON" "$here/network_policy.py" "https://$NODE_IP:6443" "$pki"
trap 'exit 0' TERM
while :; do sleep 3600 & wait $!; done
