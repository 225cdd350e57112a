// Lettuce under load: the same arguments, files and lines as ../python/paced.py.
import io.lettuce.core.RedisURI;
import io.lettuce.core.SetArgs;
import io.lettuce.core.cluster.RedisClusterClient;
import io.lettuce.core.cluster.api.StatefulRedisClusterConnection;
import io.lettuce.core.cluster.api.async.RedisAdvancedClusterAsyncCommands;
import io.lettuce.core.codec.ByteArrayCodec;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.util.Random;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Supplier;

public class Lettuce {
  static final int IN_FLIGHT = 400;
  static final int KEYS = 300;
  static final int SET_EVERY = 5;

  static synchronized void say(String line) {
    System.out.println(line);
    System.out.flush();
  }

  static void ended(int number, long began, String error) {
    String text = error == null ? "null" : '"' + error.replaceAll("[^ -~]|[\"\\\\]", " ") + '"';
    say(String.format("{\"n\": %d, \"ms\": %.3f, \"error\": %s}", number, (System.nanoTime() - began) / 1e6, text));
  }

  public static void main(String[] args) {
    String host = args[1], password = System.getenv("REDIS_PASSWORD"), folder = args[5];
    int port = Integer.parseInt(args[2]);
    long everyNanos = (long) (1e9 / Double.parseDouble(args[3]));
    byte[] value = new byte[Integer.parseInt(args[4])];
    new Random(1).nextBytes(value);
    RedisClusterClient client = args[0].equals("recommended")
        ? Settings.client(host, port, password)
        : RedisClusterClient.create(RedisURI.builder().withHost(host).withPort(port).withAuthentication("app", password.toCharArray()).build());
    StatefulRedisClusterConnection<byte[], byte[]> connection = client.connect(ByteArrayCodec.INSTANCE);
    RedisAdvancedClusterAsyncCommands<byte[], byte[]> commands = connection.async();
    if (args[0].equals("recommended")) Settings.watch(client, connection);
    AtomicInteger running = new AtomicInteger();
    long due = System.nanoTime();
    for (int number = 0; !new File(folder, "stop").exists(); ) {
      due = Math.max(due + everyNanos, System.nanoTime() - 1_000_000_000L);
      LockSupport.parkNanos(due - System.nanoTime());
      if (new File(folder, "asleep").exists()) continue;
      String op = number % SET_EVERY == 0 ? "set" : "get";
      int n = ++number;
      byte[] key = ("image:" + n % KEYS).getBytes(StandardCharsets.UTF_8);
      long began = System.nanoTime();
      say(String.format("{\"n\": %d, \"at\": %d}", n, System.currentTimeMillis()));
      if (running.get() >= IN_FLIGHT) {
        ended(n, began, "not sent: too many unanswered");
        continue;
      }
      running.incrementAndGet();
      Supplier<CompletionStage<Object>> send = () -> (op.equals("set")
          ? commands.set(key, value, SetArgs.Builder.ex(300)) : commands.get(key)).thenApply(answer -> answer);
      CompletionStage<?> sent = args[0].equals("recommended") ? Settings.answered(send) : send.get();
      sent.whenComplete((answer, error) -> {
        running.decrementAndGet();
        Throwable cause = error instanceof CompletionException ? error.getCause() : error;
        ended(n, began, cause == null ? null : cause.getClass().getSimpleName() + ": " + cause.getMessage());
      });
    }
    System.exit(0);
  }
}
