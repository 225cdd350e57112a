import io.lettuce.core.ReadFrom;
import io.lettuce.core.cluster.api.StatefulRedisClusterConnection;
import io.lettuce.core.cluster.models.partitions.RedisClusterNode;
import io.lettuce.core.models.role.RedisNodeDescription;
import io.lettuce.core.protocol.ConnectionIntent;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/**
 * Reads that stay in the own zone: from the copy of a shard that answers a PING first, where there is one nearby.
 *
 * <p>No pod has to be told its zone for that. The shortest of the last answers counts: a longer one tells how busy a node
 * was, and not how far away it is. Lettuce's own ReadFrom.LOWEST_LATENCY takes the last answer alone, and that of a
 * command which takes a busy node longer.
 */
class Nearest extends ReadFrom {
  private static final int ANSWERS = 10;
  private final Map<String, Deque<Long>> answers = new ConcurrentHashMap<>();
  private final ScheduledExecutorService clock = Executors.newSingleThreadScheduledExecutor(work -> {
    Thread thread = new Thread(work, "nearest");
    thread.setDaemon(true);
    return thread;
  });

  /** The nearest first. Lettuce asks at each refresh of the topology, and takes the first that it is connected to. */
  @Override
  public List<RedisNodeDescription> select(Nodes copies) {
    List<RedisNodeDescription> sorted = new ArrayList<>(copies.getNodes());
    sorted.sort(Comparator.comparingLong(this::nanoseconds));
    return sorted;
  }

  @Override
  protected boolean isOrderSensitive() {
    return true;
  }

  /** Asks every node each second, on the connections that read from it, which Settings.watch() keeps with the right pods. */
  void measure(StatefulRedisClusterConnection<?, ?> connection) {
    clock.scheduleAtFixedRate(
        () -> connection.getPartitions().forEach(node -> ask(connection, node)), 0, 1, TimeUnit.SECONDS);
  }

  private void ask(StatefulRedisClusterConnection<?, ?> connection, RedisClusterNode node) {
    String name = name(node);
    ConnectionIntent intent = node.getSlots().isEmpty() ? ConnectionIntent.READ : ConnectionIntent.WRITE;
    CompletableFuture.completedFuture(node.getUri())
        // Inside, so that a node which left the cluster just now is one without an answer. An error would stop the clock.
        .thenCompose(uri -> connection.getConnectionAsync(uri.getHost(), uri.getPort(), intent))
        .thenCompose(to -> {
          long began = System.nanoTime();
          return to.async().ping().thenApply(answer -> System.nanoTime() - began);
        })
        .whenComplete((took, error) -> {
          if (error != null) answers.remove(name);
          else answers.compute(name, (key, earlier) -> with(earlier, took));
        });
  }

  /** A new one each time, since others may be reading the earlier. */
  private static Deque<Long> with(Deque<Long> earlier, long took) {
    Deque<Long> found = earlier == null ? new ArrayDeque<>() : new ArrayDeque<>(earlier);
    found.addLast(took);
    if (found.size() > ANSWERS) found.removeFirst();
    return found;
  }

  /** A copy that does not answer comes last. */
  private long nanoseconds(RedisNodeDescription copy) {
    Deque<Long> found = answers.get(name(copy));
    return found == null ? Long.MAX_VALUE : Collections.min(found);
  }

  private static String name(RedisNodeDescription node) {
    return node.getUri().getHost() + ":" + node.getUri().getPort();
  }
}
