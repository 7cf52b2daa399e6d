@linux @benchmark @exclusive
Feature: Benchmarks

  Figures, told beside what the machine can do at best.

  Background:
    Given benchmark environment is prepared

  @pending
  Scenario: 14.1 - Latency Benchmark
    DESCRIPTION

    Given the 'reader' process creates buffer 'bench-latency' with default config
    When the 'writer' process connects to buffer 'bench-latency'
    Then measure latency for frame sizes:
      | size | iterations | expected         |
      | 1KB  | 10000      | sub-millisecond  |
      | 64KB | 10000      | sub-millisecond  |
      | 1MB  | 10000      | low milliseconds |
      | 10MB | 10000      | low milliseconds |
    And report Min, Max, Mean, P50, P90, P99, P99.9

  @pending
  Scenario: 14.2 - Throughput Benchmark
    DESCRIPTION

    Given the 'reader' process creates buffer 'bench-throughput' with large config
    When the 'writer' process connects to buffer 'bench-throughput'
    Then measure throughput for '60' seconds with frame sizes:
      | size | metric             |
      | 1KB  | frames/sec, MB/sec |
      | 64KB | frames/sec, MB/sec |
      | 1MB  | frames/sec, MB/sec |
      | 10MB | frames/sec, MB/sec |
    And report CPU usage percentage
    And expect to saturate memory bandwidth

  @pending
  Scenario: 14.3 - Wrap-Around Overhead Benchmark
    DESCRIPTION

    Given buffer size is '1.5x' frame size to force wrap
    When measure performance with wrap-around
    And measure performance without wrap-around
    Then calculate overhead percentage
    And expect less than '5%' performance impact

  @pending
  Scenario: 14.4 - Memory Barrier Cost Benchmark
    DESCRIPTION

    Given measure atomic fence operations
    When compare with and without memory barriers
    Then verify data integrity maintained
    And expect less than '100' ns per barrier

  @pending
  Scenario: 14.5 - Semaphore Signaling Overhead
    DESCRIPTION

    Given measure sem_post/sem_wait operation cost
    When test at rates:
      | rate   | expected_impact |
      | 1Hz    | negligible      |
      | 100Hz  | negligible      |
      | 1kHz   | negligible      |
      | 10kHz  | negligible      |
      | 100kHz | measurable      |
    Then report CPU usage and latency impact

  @pending
  Scenario: 14.6 - Buffer Utilization Under Load
    DESCRIPTION

    Given the 'reader' process creates buffer 'bench-utilization' with default config
    And the 'writer' process is configured to be faster than reader
    When monitor buffer utilization over time
    Then verify degradation detection at '80%'
    And report time to degradation
    And report recovery time
