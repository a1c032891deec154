package testnode;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.ClasspathNode;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.transport.netty4.Netty4Plugin;

/**
 * Usage: TestNode HOME [setting=value ...]. A single node that keeps everything below HOME.
 * It listens on loopback and a free port unless told otherwise; the bound address goes to HOME/logs/http.ports.
 */
public final class TestNode {

    private static final String NAME = "test-node-0";
    private static final String CLUSTER = "test";
    private static final long CLOSE_SECONDS = 10;

    private TestNode() {}

    public static void main(String[] args) throws Exception {
        Path home = Path.of(args[0]).toAbsolutePath();
        for (String folder : List.of("config", "data", "logs", "tmp")) {
            Files.createDirectories(home.resolve(folder));
        }
        Settings.Builder builder = Settings.builder()
            .put("path.home", home.toString())
            .put("cluster.name", CLUSTER)
            .put("node.name", NAME)
            .put("discovery.type", "single-node")
            .put("network.host", "127.0.0.1")
            .put("http.port", "0")
            .put("transport.port", "0")
            .put("node.portsfile", true)
            // A nearly full disk must not turn the tests' indices read-only.
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            .put("logger.level", "WARN");
        for (int i = 1; i < args.length; i++) {
            String[] pair = args[i].split("=", 2);
            builder.put(pair[0], pair[1]);
        }
        Settings settings = builder.build();
        LogConfigurator.setClusterName(CLUSTER);
        LogConfigurator.setNodeName(NAME);
        LogConfigurator.configureWithoutConfig(settings);

        Environment environment = InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), null, () -> NAME);
        ClasspathNode node = new ClasspathNode(
            environment, List.of(Netty4Plugin.class, AnalysisPlugins.class, RestRootPlugin.class));
        CountDownLatch stopped = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.prepareForClose();
                node.close();
                if (!node.awaitClose(CLOSE_SECONDS, TimeUnit.SECONDS)) {
                    System.err.println("not closed within " + CLOSE_SECONDS + " s");
                }
            } catch (Exception e) {
                e.printStackTrace();
            } finally {
                stopped.countDown();
            }
        }, "shutdown"));
        node.start();
        System.out.println("started, http on " + Files.readString(home.resolve("logs/http.ports")).trim());
        stopped.await(); // netty's threads are daemons, so this one keeps the JVM alive
    }
}
