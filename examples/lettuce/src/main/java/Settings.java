import io.lettuce.core.RedisCredentials;
import io.lettuce.core.RedisURI;
import io.lettuce.core.SocketOptions;
import io.lettuce.core.SslOptions;
import io.lettuce.core.TimeoutOptions;
import io.lettuce.core.cluster.ClusterClientOptions;
import io.lettuce.core.cluster.ClusterTopologyRefreshOptions;
import io.lettuce.core.cluster.RedisClusterClient;
import io.lettuce.core.resource.ClientResources;
import io.lettuce.core.resource.Delay;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Security;
import java.time.Duration;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import reactor.core.publisher.Mono;

/** How this application talks to the cache. The time-outs and retries are those of docs/clients.md. */
class Settings {
  static final Duration ATTEMPT = Duration.ofSeconds(1);
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

  /** A second attempt: by then Lettuce has learned who serves the slot now. */
  static <T> CompletionStage<T> twice(Supplier<CompletionStage<T>> send) {
    return send.get().exceptionallyCompose(error -> send.get());
  }

  static RedisClusterClient client(String host, int port) {
    ClientResources resources = ClientResources.builder()
        .reconnectDelay(Delay.exponential(Duration.ofMillis(100), Duration.ofSeconds(1), 2, TimeUnit.MILLISECONDS))
        .build();
    RedisClusterClient client = RedisClusterClient.create(resources,
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
