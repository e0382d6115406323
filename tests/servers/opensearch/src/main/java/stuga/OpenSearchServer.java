package stuga;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.opensearch.analysis.common.CommonAnalysisPlugin;
import org.opensearch.common.settings.Settings;
import org.opensearch.http.HttpServerTransport;
import org.opensearch.index.reindex.ReindexPlugin;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.painless.PainlessPlugin;
import org.opensearch.plugins.Plugin;
import org.opensearch.transport.Netty4Plugin;

/**
 * One OpenSearch node on a free loopback port, with the k-NN plugin.
 *
 * <p>Usage: {@code OpenSearchServer DIRECTORY}. Prints {@code listening PORT} once it answers and ends when its standard
 * input closes, so that it never outlives the test that started it.
 */
public final class OpenSearchServer {
    private OpenSearchServer() {}

    public static void main(String[] args) throws Exception {
        if (args.length != 1) {
            System.err.println("usage: OpenSearchServer DIRECTORY");
            System.exit(2);
        }
        Path home = Path.of(args[0]).toAbsolutePath();
        Settings settings =
                Settings.builder()
                        .put("path.home", home.toString())
                        .put("cluster.name", "stuga-test")
                        .put("node.name", "stuga-test")
                        .put("discovery.type", "single-node")
                        .put("network.host", "127.0.0.1")
                        .put("http.port", "0")
                        .put("transport.port", "0")
                        .put("cluster.routing.allocation.disk.threshold_enabled", false)
                        .build();
        List<Class<? extends Plugin>> plugins =
                List.of(
                        Netty4Plugin.class,
                        CommonAnalysisPlugin.class,
                        PainlessPlugin.class,
                        ReindexPlugin.class,
                        // Not on the compiler's class path: it comes out of a zip.
                        Class.forName("org.opensearch.knn.plugin.KNNPlugin").asSubclass(Plugin.class));
        try (TestNode node = new TestNode(settings, plugins)) {
            node.start();
            HttpServerTransport http = node.injector().getInstance(HttpServerTransport.class);
            System.out.println("listening " + http.boundAddress().publishAddress().getPort());
            System.out.flush();
            CountDownLatch closed = new CountDownLatch(1);
            Thread watch =
                    new Thread(
                            () -> {
                                try {
                                    while (System.in.read() >= 0) {
                                        // Nothing is said on the input; it only closes.
                                    }
                                } catch (java.io.IOException e) {
                                    // As good as closed.
                                }
                                closed.countDown();
                            });
            watch.setDaemon(true);
            watch.start();
            closed.await();
        }
        System.exit(0);
    }

    /** A node whose plugins come from the class path. */
    private static final class TestNode extends Node {
        TestNode(Settings settings, List<Class<? extends Plugin>> plugins) {
            super(
                    InternalSettingsPreparer.prepareEnvironment(
                            settings, Map.of(), null, () -> "stuga-test"),
                    plugins,
                    false);
        }
    }
}
