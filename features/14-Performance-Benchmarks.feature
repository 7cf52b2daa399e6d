@linux @benchmark @exclusive
Feature: Benchmarks

  Figures, told beside what the machine can do at best.

  Background:
    Given benchmark environment is prepared

  @step-timeout(600)
  Scenario: 14.1 - Latency Benchmark
    One frame at a time, from before it is written until the reader has copied it out and its space is
    back: what is expected holds for half of the frames of the best of five rounds. Low milliseconds
    are less than ten.

    Given the 'reader' process creates buffer 'bench-latency' with default config
    And the 'reader' process reads frames in the background
    When the 'writer' process connects to buffer 'bench-latency'
    Then measure latency for frame sizes:
      | size | iterations | expected         |
      | 1KB  | 10000      | sub-millisecond  |
      | 64KB | 10000      | sub-millisecond  |
      | 1MB  | 10000      | low milliseconds |
      | 10MB | 10000      | low milliseconds |
    And report Min, Max, Mean, P50, P90, P99, P99.9
    And the 'reader' process should have read every frame in the background

  @step-timeout(600)
  Scenario: 14.2 - Throughput Benchmark
    As many frames as the reader takes. Memory counts as saturated if, at the best size and in its
    best round, at least a quarter of the bytes cross that one core copies from memory to memory:
    each of them is copied twice on the way, from one core's cache into another's.

    Given the 'reader' process creates buffer 'bench-throughput' with large config
    And the 'reader' process reads frames in the background
    When the 'writer' process connects to buffer 'bench-throughput'
    When measure throughput for '60' seconds with frame sizes:
      | size | metric             |
      | 1KB  | frames/sec, MB/sec |
      | 64KB | frames/sec, MB/sec |
      | 1MB  | frames/sec, MB/sec |
      | 10MB | frames/sec, MB/sec |
    Then report CPU usage percentage
    And expect to saturate memory bandwidth
    And the 'reader' process should have read every frame in the background

  Scenario: 14.3 - Wrap-Around Overhead Benchmark
    Frames that all have to skip the rest of the ring, beside frames in a ring that they fill exactly:
    both touch the same memory, so that the difference is what wrapping around costs. Of many
    pairs of rings, those in the middle count.

    Given buffer size is '1.5x' frame size to force wrap
    When measure performance with wrap-around
    And measure performance without wrap-around
    Then calculate overhead percentage
    And expect less than '5%' performance impact

  Scenario: 14.4 - Memory Barrier Cost Benchmark
    What the strictest barriers cost, alone and where a message is told of; and messages from one
    thread to another that are held together by barriers alone.

    Given measure atomic fence operations
    When compare with and without memory barriers
    Then verify data integrity maintained
    And expect less than '100' ns per barrier

  Scenario: 14.5 - Semaphore Signaling Overhead
    A thread that sleeps on a semaphore and is woken at each rate. The impact is the CPU time of
    posting and of waking up: negligible is less than a quarter of a CPU, measurable more than a
    hundredth.

    Given measure sem_post/sem_wait operation cost
    When test at rates:
      | rate   | expected_impact |
      | 1Hz    | negligible      |
      | 100Hz  | negligible      |
      | 1kHz   | negligible      |
      | 10kHz  | negligible      |
      | 100kHz | measurable      |
    Then report CPU usage and latency impact

  Scenario: 14.6 - Buffer Utilization Under Load
    A ring that its reader cannot keep empty. Beyond eighty per cent it counts as degraded, and when
    it is full the writer goes at the reader's pace; it has recovered when, with nothing written any
    more, half of it is free.

    Given the 'reader' process creates buffer 'bench-utilization' with default config
    And the 'reader' process reads frames in the background, one every '2' ms
    And the 'writer' process connects to buffer 'bench-utilization'
    And the 'writer' process is configured to be faster than reader
    When monitor buffer utilization over time
    Then verify degradation detection at '80%'
    And report time to degradation
    And report recovery time
    And the 'reader' process should have read every frame in the background
