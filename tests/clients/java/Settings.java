// settings: begin
import io.lettuce.core.RedisURI;
import io.lettuce.core.SocketOptions;
import io.lettuce.core.TimeoutOptions;
import io.lettuce.core.cluster.ClusterClientOptions;
import io.lettuce.core.cluster.ClusterTopologyRefreshOptions;
import io.lettuce.core.cluster.RedisClusterClient;
import io.lettuce.core.resource.ClientResources;
import io.lettuce.core.resource.Delay;
import java.security.Security;
import java.time.Duration;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

class Settings {
  static final Duration ATTEMPT = Duration.ofSeconds(1);

  static {
    // Java remembers for 10 s that a name is unknown, as that of a lost pod is, and for 30 s where it pointed to.
    Security.setProperty("networkaddress.cache.negative.ttl", "0");
    Security.setProperty("networkaddress.cache.ttl", "5");
  }

  // A second attempt: by then Lettuce has learned who serves the slot now.
  static <T> CompletionStage<T> twice(Supplier<CompletionStage<T>> send) {
    return send.get().exceptionallyCompose(error -> send.get());
  }

  static RedisClusterClient client(String host, int port, String password) {
    // The default waits up to 30 s between two attempts to connect to a node that was lost.
    ClientResources resources = ClientResources.builder()
        .reconnectDelay(Delay.exponential(Duration.ofMillis(100), Duration.ofSeconds(1), 2, TimeUnit.MILLISECONDS))
        .build();
    RedisClusterClient client = RedisClusterClient.create(resources,
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
// use: Settings.twice(() -> commands.get(key))
// settings: end
