// settings: begin
import io.lettuce.core.RedisURI;
import io.lettuce.core.SocketOptions;
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

class Settings {
  // How long a request is tried: 2 s outlast a crash, 15 s a failover.
  static final Duration PATIENCE =
      Duration.ofMillis((long) (1000 * Double.parseDouble(System.getenv().getOrDefault("REDIS_PATIENCE_S", "2"))));
  static final Duration ATTEMPT = Duration.ofMillis(500);
  static final Executor AFTER_A_PAUSE = CompletableFuture.delayedExecutor(200, TimeUnit.MILLISECONDS);

  // What a request gives. One that fails is sent again: by then Lettuce has learned who serves the slot now.
  static <T> CompletionStage<T> answered(Supplier<CompletionStage<T>> send) {
    return tried(send, System.nanoTime() + PATIENCE.toNanos())
        .toCompletableFuture().orTimeout(PATIENCE.toMillis(), TimeUnit.MILLISECONDS);
  }

  private static <T> CompletionStage<T> tried(Supplier<CompletionStage<T>> send, long until) {
    return send.get().exceptionallyCompose(error -> System.nanoTime() >= until
        ? CompletableFuture.failedStage(error)
        : CompletableFuture.runAsync(() -> {}, AFTER_A_PAUSE).thenCompose(paused -> tried(send, until)));
  }

  // Of what the nodes say of the cluster, that is believed which most of them say. By itself Lettuce may believe a master that
  // is cut off from the others, for as long as it answers.
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

  // A connection stays with whoever answered at the address that the node's name had, and a pod that restarted may have an
  // address that was another's a moment ago. So each master is asked who it is, every second. QUIT ends the connection to one
  // that is another, and Lettuce connects anew, by name.
  static ScheduledFuture<?> watch(RedisClusterClient client, StatefulRedisClusterConnection<?, ?> connection) {
    return client.getResources().eventExecutorGroup().scheduleWithFixedDelay(() ->
        connection.getPartitions().forEach(node -> {
          if (!node.getSlots().isEmpty()) check(connection, node, ConnectionIntent.WRITE);
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

  static RedisClusterClient client(String host, int port, String password) {
    // The default waits up to 30 s between two attempts to connect to a node that was lost.
    ClientResources resources = ClientResources.builder()
        .reconnectDelay(Delay.exponential(Duration.ofMillis(100), Duration.ofSeconds(1), 2, TimeUnit.MILLISECONDS))
        .build();
    RedisClusterClient client = new Majority(resources,
        RedisURI.builder().withHost(host).withPort(port).withAuthentication("app", password.toCharArray())
            .withTimeout(ATTEMPT).build());
    client.setOptions(ClusterClientOptions.builder()
        // Of an attempt. Without it only the blocking API has a time-out, of 60 s.
        .timeoutOptions(TimeoutOptions.enabled(ATTEMPT))
        .socketOptions(SocketOptions.builder()
            .connectTimeout(Duration.ofMillis(500)) // the default is 10 s
            // Closes a connection whose peer is gone: for what was sent, and for one that is idle.
            // Needs netty-transport-native-epoll for your processor; Java's own sockets ignore it.
            .tcpUserTimeout(SocketOptions.TcpUserTimeoutOptions.builder().enable()
                .tcpUserTimeout(Duration.ofSeconds(1)).build())
            .keepAlive(SocketOptions.KeepAliveOptions.builder().enable()
                .idle(Duration.ofSeconds(1)).interval(Duration.ofSeconds(1)).count(2).build())
            .build())
        .topologyRefreshOptions(ClusterTopologyRefreshOptions.builder()
            .enablePeriodicRefresh(Duration.ofSeconds(1)) // the default is never
            .enableAllAdaptiveRefreshTriggers() // at MOVED, ASK, reconnects and unknown nodes
            .adaptiveRefreshTriggersTimeout(Duration.ofSeconds(1))
            .build())
        .build());
    return client;
  }
}
// use: Settings.watch(client, connection); Settings.answered(() -> connection.async().get(key))
// settings: end
