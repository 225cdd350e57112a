// settings: begin
import io.lettuce.core.RedisURI;
import io.lettuce.core.SocketOptions;
import io.lettuce.core.TimeoutOptions;
import io.lettuce.core.cluster.ClusterClientOptions;
import io.lettuce.core.cluster.ClusterTopologyRefreshOptions;
import io.lettuce.core.cluster.RedisClusterClient;
import java.time.Duration;
import java.util.concurrent.CompletionStage;
import java.util.function.Supplier;

class Settings {
  static final Duration ATTEMPT = Duration.ofSeconds(1);

  // A second attempt: by then Lettuce has learned who serves the slot now.
  static <T> CompletionStage<T> twice(Supplier<CompletionStage<T>> send) {
    return send.get().exceptionallyCompose(error -> send.get());
  }

  static RedisClusterClient client(String host, int port, String password) {
    RedisClusterClient client = RedisClusterClient.create(
        RedisURI.builder().withHost(host).withPort(port).withPassword(password.toCharArray())
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
