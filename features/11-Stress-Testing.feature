@linux @stress
Feature: Stress

  The same things very often, for a very long time, or until the machine has no more to give.

  Background:
    Given stress test environment is prepared

  @step-timeout(280)
  Scenario: 11.1 - Rapid Create Destroy Cycles
    A buffer is made and removed a thousand times; the first time in the steps, the others in the last of
    them. Each time its four files are there, and then they are not. File descriptors, mappings of
    shared memory, threads, memory, and the entries of both folders are counted before and after. A
    cycle takes about as long at the end as at the beginning, and the buffer works as ever.

    Given perform '1000' iterations of:
    When the 'reader' process creates buffer 'test-rapid-cycle' with default config
    And the 'reader' process destroys buffer
    Then no resource leaks should occur
    And lock files should be properly cleaned
    And system should remain stable

  @long-running @step-timeout(600)
  Scenario: 11.3 - Long Duration Stress Test
    The hours are scaled: the run takes seconds unless `HARMONY_LONG_RUNNING_SECONDS` says more, and what
    it reports says so. The reader reads all the time, and compares every byte and every number. The
    writer's descriptors, mappings, threads and memory are counted before, after, and nine times in
    between. No run is long enough for sequence numbers to overflow. What is proved is that both sides
    go on across the end of 32 bits and of 64: the first frame near it is given its number, the ones
    after it get theirs from the writer and are checked by the reader as always, which also refuses a
    number that is right in its lower half only.

    Given the 'reader' process creates buffer 'test-long-duration' with default config
    And the 'reader' process reads continuously and compares every frame
    When the 'writer' process connects to buffer 'test-long-duration'
    And the test runs continuous write-read for '24' hours
    Then verify no resource leaks
    And verify sequence numbers handle overflow
    And monitor system resource usage
    And ensure stable operation throughout
    And the 'reader' process should have read every frame that was written
    And the 'reader' process should verify no resource leaks

  @shm-size(16)
  Scenario: 11.4 - Buffer Exhaustion Test
    In a shared memory of its own, and a small one: buffers are made, large ones first, until there is
    no room for the smallest. The one too many is refused with the error for that and leaves nothing,
    and all the others go on working, every byte of them. Then all are removed, and there is room for as
    many as before.

    Given create maximum number of buffers system allows
    When reach system limit
    Then the test should verify graceful failure when limit reached
    When cleanup all buffers
    Then the test should verify resources properly released
    And the system should return to normal state

  @separate-processes @step-timeout(120)
  Scenario: 11.5 - Rapid Create Destroy Under Load
    A buffer is made and removed a thousand times while another process connects to it without a pause,
    and writes a frame where it can. Every twentieth time it gets all the time that it needs. It may
    find no buffer, one that is not ready or one whose reader has gone, but nothing else, and it never
    ends. What this process holds is counted before the other one is there and after it has gone.

    Given the test spawns writer attempting connections continuously
    When the test creates and destroys buffer '1000' times
    Then the test should verify no resource leaks
    And the test should verify lock files cleaned up
    And the system should handle writer connection attempts gracefully
