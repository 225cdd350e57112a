import io.lettuce.core.RedisCredentials;
import io.lettuce.core.RedisURI;
import io.lettuce.core.SocketOptions;
import io.lettuce.core.SslOptions;
import io.lettuce.core.TimeoutOptions;
import io.lettuce.core.cluster.ClusterClientOptions;
import io.lettuce.core.cluster.ClusterTopologyRefreshOptions;
import io.lettuce.core.cluster.RedisClusterClient;
import io.lettuce.core.cluster.api.StatefulRedisClusterConnection;
import io.lettuce.core.cluster.event.MovedRedirectionEvent;
import io.lettuce.core.cluster.models.partitions.Partitions;
import io.lettuce.core.cluster.models.partitions.RedisClusterNode;
import io.lettuce.core.codec.RedisCodec;
import io.lettuce.core.protocol.ConnectionIntent;
import io.lettuce.core.resource.ClientResources;
import io.lettuce.core.resource.Delay;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Security;
import java.time.Duration;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
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

  static {
    // Java remembers for 10 s that a name is unknown, as that of a lost pod is, and for 30 s where it pointed to.
    Security.setProperty("networkaddress.cache.negative.ttl", "0");
    Security.setProperty("networkaddress.cache.ttl", "5");
  }

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
      return view.stream().filter(node -> !node.getSlots().isEmpty()).map(RedisClusterNode::getNodeId)
          .collect(Collectors.toSet());
    }
  }

  /**
   * A connection stays with whoever answered at the address that the node's name had. A pod that restarted may have an
   * address that was another's a moment ago. Such a connection sends every request to the node that it is thought to be
   * with, for as long as it lasts. QUIT ends it, and Lettuce connects anew, by name.
   */
  static <K, V> StatefulRedisClusterConnection<K, V> connection(RedisClusterClient client, RedisCodec<K, V> codec) {
    StatefulRedisClusterConnection<K, V> connection = client.connect(codec);
    Set<RedisURI> ending = ConcurrentHashMap.newKeySet();
    client.getResources().eventBus().get().ofType(MovedRedirectionEvent.class).subscribe(moved -> {
      RedisClusterNode owner = connection.getPartitions().getMasterBySlot(moved.getSlot());
      if (owner == null || !moved.getMessage().endsWith(" " + owner.getUri().getHost() + ":" + owner.getUri().getPort())
          || !ending.add(owner.getUri())) return;
      // Reads have connections of their own, to every copy of the shard.
      connection.getPartitions().stream().filter(node -> node == owner || owner.getNodeId().equals(node.getSlaveOf()))
          .forEach(copy -> end(connection, copy.getUri(), ConnectionIntent.READ));
      end(connection, owner.getUri(), ConnectionIntent.WRITE)
          .whenComplete((done, error) -> ending.remove(owner.getUri()));
    });
    return connection;
  }

  private static CompletableFuture<String> end(
      StatefulRedisClusterConnection<?, ?> connection, RedisURI node, ConnectionIntent intent) {
    return CompletableFuture.completedFuture(node) // a node that has just left the cluster is no error of the caller
        .thenCompose(uri -> connection.getConnectionAsync(uri.getHost(), uri.getPort(), intent))
        .thenCompose(to -> to.async().quit());
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
