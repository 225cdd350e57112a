import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.lettuce.core.ReadFrom;
import io.lettuce.core.SetArgs;
import io.lettuce.core.cluster.RedisClusterClient;
import io.lettuce.core.cluster.api.StatefulRedisClusterConnection;
import io.lettuce.core.cluster.api.async.RedisAdvancedClusterAsyncCommands;
import io.lettuce.core.codec.ByteArrayCodec;
import io.prometheus.metrics.core.metrics.Counter;
import io.prometheus.metrics.core.metrics.Histogram;
import io.prometheus.metrics.exporter.httpserver.MetricsHandler;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Serves images over HTTP: from the cache, or on a miss from where they come from.
 *
 * <pre>
 *   GET /images/NAME    the image
 *   GET /metrics        counters and latencies, for Prometheus
 * </pre>
 *
 * Environment: REDIS_ENDPOINT (the stack output `endpoint`), ORIGIN (a URL that has /NAME), LISTEN (port),
 * TTL_SECONDS, and the files of Settings.java.
 */
public class App {
  static final int CONNECTIONS_PER_NODE = 4;
  static final long TTL_SECONDS = Long.parseLong(Settings.of("TTL_SECONDS", "300"));
  static final String ORIGIN = Settings.of("ORIGIN", "");
  /**
   * Other names are not found. Nothing in these is escaped, so that nobody reads them in two ways, and none of them leads
   * out of the origin's folder.
   */
  static final Pattern IMAGE = Pattern.compile("/images/([A-Za-z0-9_-][A-Za-z0-9._-]*)");
  static final Counter LOOKUPS = Counter.builder().name("image_lookups_total")
      .help("Requests for an image, by how they were answered").labelNames("result").register();
  static final Counter CACHE_ERRORS = Counter.builder().name("image_cache_errors_total")
      .help("Commands that the cache did not answer").labelNames("command").register();
  static final Histogram CACHE_SECONDS = Histogram.builder().name("image_cache_seconds").classicOnly()
      .help("How long commands took, retries included").labelNames("command").register();

  private final HttpClient origin = HttpClient.newBuilder().connectTimeout(Duration.ofSeconds(1)).build();
  private final ConcurrentHashMap<String, CompletableFuture<byte[]>> underWay = new ConcurrentHashMap<>();
  private final RedisClusterClient client;
  private final List<StatefulRedisClusterConnection<byte[], byte[]>> connections = new CopyOnWriteArrayList<>();
  private final ScheduledExecutorService connecting = Executors.newSingleThreadScheduledExecutor();
  private final AtomicInteger turn = new AtomicInteger();
  /** While the cache takes no writes, so many images wait to be stored. More are not. */
  private final Semaphore unstored = new Semaphore(64);
  private final Nearest nearest = new Nearest();
  /** A thread for each request and each answer under way: a slow browser keeps nobody but itself, and no probe, waiting. */
  private final ExecutorService http = Executors.newCachedThreadPool();

  App(String host, int port) {
    client = Settings.client(host, port);
    connecting.execute(this::connect);
  }

  /** However many ask for an image at a time, it is looked up once. */
  CompletableFuture<byte[]> image(String name) {
    CompletableFuture<byte[]> mine = new CompletableFuture<>();
    CompletableFuture<byte[]> shared = underWay.putIfAbsent(name, mine);
    if (shared != null) {
      LOOKUPS.labelValues("coalesced").inc();
      return shared;
    }
    lookUp(name, mine).whenComplete((done, error) -> {
      underWay.remove(name);
      if (error != null) mine.completeExceptionally(error);
    });
    return mine;
  }

  /** Completes `found` as soon as the image is there, and ends when it is stored, too. */
  private CompletionStage<String> lookUp(String name, CompletableFuture<byte[]> found) {
    byte[] key = ("image:" + name).getBytes(StandardCharsets.UTF_8);
    return command("get", commands -> commands.get(key)).thenCompose(cached -> {
      LOOKUPS.labelValues(cached == null ? "miss" : "hit").inc();
      if (cached != null) {
        found.complete(cached);
        return CompletableFuture.<String>completedFuture(null);
      }
      return fetched(name).thenCompose(image -> {
        found.complete(image);
        return store(key, image);
      });
    });
  }

  /**
   * Nobody waits until an image is stored: while a master is lost that may be long. Who asks until then gets it from
   * here, and its origin is left alone.
   */
  private CompletionStage<String> store(byte[] key, byte[] image) {
    if (!unstored.tryAcquire()) {
      CACHE_ERRORS.labelValues("set").inc();
      return CompletableFuture.completedFuture(null);
    }
    return command("set", commands -> commands.set(key, image, SetArgs.Builder.ex(TTL_SECONDS)))
        .whenComplete((done, error) -> unstored.release());
  }

  /** The answer; null also where there is none, since without its cache the application still works. */
  private <T> CompletionStage<T> command(
      String name, Function<RedisAdvancedClusterAsyncCommands<byte[], byte[]>, CompletionStage<T>> send) {
    long began = System.nanoTime();
    CompletionStage<T> sent;
    try {
      sent = Settings.answered(() -> connections.isEmpty()
          ? CompletableFuture.failedStage(new IllegalStateException("not connected yet"))
          : send.apply(connection().async()));
    } catch (RuntimeException error) {
      sent = CompletableFuture.failedStage(error);
    }
    return sent.handle((answer, error) -> {
      CACHE_SECONDS.labelValues(name).observe((System.nanoTime() - began) / 1e9);
      if (error != null) CACHE_ERRORS.labelValues(name).inc();
      return answer;
    });
  }

  /**
   * Each connection object has one connection to each node, and answers of 1 MB come one after the other on it. They are
   * made beside the requests: while the cache is away, or silent, when the application starts, each of them waits for its
   * own patience alone.
   */
  private void connect() {
    try {
      while (connections.size() < CONNECTIONS_PER_NODE) {
        StatefulRedisClusterConnection<byte[], byte[]> made = client.connect(ByteArrayCodec.INSTANCE);
        Settings.watch(client, made);
        // The nearest copy can be a moment behind: a miss, or an image that was replaced just now. `master` is for images
        // that are replaced under their name and must never be the old ones.
        boolean isNearest = Settings.of("REDIS_READS_FROM", "nearest").equals("nearest");
        made.setReadFrom(isNearest ? nearest : ReadFrom.UPSTREAM);
        if (isNearest && connections.isEmpty()) nearest.measure(made);
        connections.add(made);
      }
      connecting.shutdown();
    } catch (RuntimeException away) {
      connecting.schedule(this::connect, 200, TimeUnit.MILLISECONDS);
    }
  }

  private StatefulRedisClusterConnection<byte[], byte[]> connection() {
    return connections.get(Math.floorMod(turn.getAndIncrement(), connections.size()));
  }

  private CompletionStage<byte[]> fetched(String name) {
    HttpRequest request = HttpRequest.newBuilder(URI.create(ORIGIN + "/" + name)).timeout(Duration.ofSeconds(10)).build();
    return origin.sendAsync(request, HttpResponse.BodyHandlers.ofByteArray()).thenApply(answer -> {
      if (answer.statusCode() == 404) throw new CompletionException(new FileNotFoundException("no such image"));
      if (answer.statusCode() != 200) {
        throw new CompletionException(new IOException("the origin answered " + answer.statusCode()));
      }
      return answer.body();
    });
  }

  private void answer(HttpExchange exchange) {
    Matcher asked = IMAGE.matcher(exchange.getRequestURI().getRawPath());
    CompletableFuture<byte[]> image = asked.matches() ? image(asked.group(1))
        : CompletableFuture.failedFuture(new FileNotFoundException("/images/NAME or /metrics"));
    // Not on the thread that brought the image: that is Lettuce's, and reads the answers to others, too.
    image.whenCompleteAsync((bytes, error) -> {
      Throwable cause = error instanceof CompletionException ? error.getCause() : error;
      int status = cause == null ? 200 : cause instanceof FileNotFoundException ? 404 : 502;
      byte[] body = cause == null ? bytes : (cause.getMessage() + "\n").getBytes(StandardCharsets.UTF_8);
      exchange.getResponseHeaders().set("Content-Type", cause == null ? "image/jpeg" : "text/plain");
      try (OutputStream out = exchange.getResponseBody()) {
        exchange.sendResponseHeaders(status, body.length);
        out.write(body);
      } catch (IOException gone) {
        exchange.close(); // who asked has gone
      }
    }, http);
  }

  public static void main(String[] args) throws IOException {
    String endpoint = Settings.of("REDIS_ENDPOINT", "");
    int colon = endpoint.lastIndexOf(':');
    App app = new App(endpoint.substring(0, colon), Integer.parseInt(endpoint.substring(colon + 1)));
    HttpServer server = HttpServer.create(new InetSocketAddress(Integer.parseInt(Settings.of("LISTEN", "8080"))), 128);
    server.createContext("/images/", app::answer);
    server.createContext("/metrics", new MetricsHandler());
    server.setExecutor(app.http);
    server.start();
  }
}
