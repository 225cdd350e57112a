import io.lettuce.core.ReadFrom;
import io.lettuce.core.RedisCredentials;
import io.lettuce.core.RedisURI;
import io.lettuce.core.SocketOptions;
import io.lettuce.core.SslOptions;
import io.lettuce.core.TimeoutOptions;
import io.lettuce.core.cluster.ClusterClientOptions;
import io.lettuce.core.cluster.ClusterTopologyRefreshOptions;
import io.lettuce.core.cluster.RedisClusterClient;
import io.lettuce.core.cluster.api.StatefulRedisClusterConnection;
import io.lettuce.core.cluster.models.partitions.Partitions;
import io.lettuce.core.cluster.models.partitions.RedisClusterNode;
import io.lettuce.core.protocol.ConnectionIntent;
import io.lettuce.core.resource.ClientResources;
import io.lettuce.core.resource.Delay;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Executor;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import reactor.core.publisher.Mono;

/** How this application talks to the cache. The time-outs and retries are those of docs/clients.md. */
class Settings {
  static final Duration PATIENCE =
      Duration.ofMillis((long) (1000 * Double.parseDouble(System.getenv().getOrDefault("REDIS_PATIENCE_S", "2"))));
  static final Duration ATTEMPT = Duration.ofMillis(500);
  static final Executor AFTER_A_PAUSE = CompletableFuture.delayedExecutor(200, TimeUnit.MILLISECONDS);
  static final File CA_FILE = new File(of("REDIS_CA_FILE", "/etc/redis-cache/ca.crt"));

  static String of(String name, String otherwise) {
    String value = System.getenv(name);
    return value == null || value.isEmpty() ? otherwise : value;
  }

  /** Kubernetes renews the file when the Secret changes; every new connection reads it anew. */
  private static Mono<RedisCredentials> credentials() {
    return Mono.fromCallable(() -> {
      Path file = Path.of(of("REDIS_PASSWORD_FILE", "/etc/redis-cache/password"));
      return RedisCredentials.just(of("REDIS_USER", "app"), Files.readString(file).toCharArray());
    });
  }

  /** What a request gives. One that fails is sent again while there is patience: a read to another copy. */
  static <T> CompletionStage<T> answered(Supplier<CompletionStage<T>> send) {
    return tried(send, System.nanoTime() + PATIENCE.toNanos())
        .toCompletableFuture().orTimeout(PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
  }

  private static <T> CompletionStage<T> tried(Supplier<CompletionStage<T>> send, long until) {
    return send.get().exceptionallyCompose(error -> System.nanoTime() >= until
        ? CompletableFuture.failedStage(error)
        : CompletableFuture.runAsync(() -> {}, AFTER_A_PAUSE).thenCompose(paused -> tried(send, until)));
  }

  /** Believes of the cluster what most of its nodes say, and not a master that is cut off from the others. */
  private static class Majority extends RedisClusterClient {
    Majority(ClientResources resources, RedisURI uri) {
      super(resources, List.of(uri));
    }

    @Override
    protected Partitions determinePartitions(Partitions current, Map<RedisURI, Partitions> views) {
      return views.values().stream().collect(Collectors.groupingBy(Majority::owners)).values().stream()
          .max(Comparator.comparingInt(List::size)).map(alike -> alike.get(0)).orElse(current);
    }

    private static Set<String> owners(Partitions view) {
      return view.stream().filter(node -> !node.getSlots().isEmpty())
          .map(node -> node.getNodeId() + " since " + node.getConfigEpoch()).collect(Collectors.toSet());
    }
  }

  /**
   * A connection stays with whoever answered at the address that the node's name had, and a pod that restarted may have an
   * address that was another's a moment ago. So each node is asked who it is, every second. QUIT ends the connection to one
   * that is another, and Lettuce connects anew, by name. Cancel it when the connection is closed.
   */
  static ScheduledFuture<?> watch(RedisClusterClient client, StatefulRedisClusterConnection<?, ?> connection) {
    return client.getResources().eventExecutorGroup().scheduleWithFixedDelay(() ->
        connection.getPartitions().forEach(node -> {
          if (!node.getSlots().isEmpty()) check(connection, node, ConnectionIntent.WRITE);
          // Lettuce has connections for reading to replicas alone.
          else if (connection.getReadFrom() != ReadFrom.UPSTREAM) check(connection, node, ConnectionIntent.READ);
        }), 1, 1, TimeUnit.SECONDS);
  }

  private static void check(
      StatefulRedisClusterConnection<?, ?> connection, RedisClusterNode node, ConnectionIntent intent) {
    CompletableFuture.completedFuture(node.getUri()) // inside, so that a node which has just left is not an error
        .thenCompose(uri -> connection.getConnectionAsync(uri.getHost(), uri.getPort(), intent))
        .thenAccept(to -> to.async().clusterMyId().thenAccept(id -> {
          if (!id.equals(node.getNodeId())) to.async().quit();
        }));
  }

  static RedisClusterClient client(String host, int port) {
    ClientResources resources = ClientResources.builder()
        .reconnectDelay(Delay.exponential(Duration.ofMillis(100), Duration.ofSeconds(1), 2, TimeUnit.MILLISECONDS))
        .build();
    RedisClusterClient client = new Majority(resources,
        RedisURI.builder().withHost(host).withPort(port).withAuthentication(Settings::credentials)
            .withSsl(CA_FILE.exists())
            .withTimeout(ATTEMPT).build());
    ClusterClientOptions.Builder options = ClusterClientOptions.builder()
        .timeoutOptions(TimeoutOptions.enabled(ATTEMPT))
        .socketOptions(SocketOptions.builder()
            .connectTimeout(Duration.ofMillis(500))
            .tcpUserTimeout(SocketOptions.TcpUserTimeoutOptions.builder().enable()
                .tcpUserTimeout(Duration.ofSeconds(1)).build())
            .keepAlive(SocketOptions.KeepAliveOptions.builder().enable()
                .idle(Duration.ofSeconds(1)).interval(Duration.ofSeconds(1)).count(2).build())
            .build())
        .topologyRefreshOptions(ClusterTopologyRefreshOptions.builder()
            .enablePeriodicRefresh(Duration.ofSeconds(1))
            .enableAllAdaptiveRefreshTriggers()
            .adaptiveRefreshTriggersTimeout(Duration.ofSeconds(1))
            .build());
    if (CA_FILE.exists()) {
      options.sslOptions(SslOptions.builder().trustManager(CA_FILE).build());
    }
    client.setOptions(options.build());
    return client;
  }
}
