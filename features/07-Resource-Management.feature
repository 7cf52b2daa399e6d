@linux
Feature: Resource management

  Memory, semaphores and names run out. What fails then fails with an error, and leaves nothing.

  Background:
    Given the test environment is initialized
    And all processes are ready

  Scenario: 7.1 - Partial Initialization Failure
    A semaphore cannot be made, three times over: a folder is where the first one has to be, then where
    the second one has to be, then the process has no file descriptor left to make one with. Each time
    the error names the semaphore, and the folders of shared memory and locks are listed before and
    after. Nothing is left of the lock that had been taken: the same buffer can be made afterwards.

    Given attempt to create buffer 'test-partial-init' with default config
    And the test simulates semaphore creation failure
    Then the buffer creation should fail
    And the shared memory should be cleaned up
    And no resources should be leaked
    And the test should be able to create buffer 'test-partial-init'

  @shm-size(16)
  Scenario: 7.2 - System Resource Exhaustion
    In a shared memory of its own, and a small one: buffers are made, large ones first, until there is
    no room for the smallest. One more is refused with the error for that, which is no signal that ends
    the process, and leaves nothing. All that was made goes on working, every byte of it; then it is
    removed, and there is room for as many buffers as before.

    Given create maximum allowed shared memory segments
    When attempt to create one more buffer 'test-exhausted'
    Then the creation should fail with system error
    And an appropriate error message should be returned
    And no resources should be leaked
    And the test should verify graceful failure when limit reached
    When cleanup all buffers
    Then the test should verify resources properly released
    And the system should return to normal state

  @step-timeout(120)
  Scenario: 7.3 - Memory Barrier Verification
    A structure with nine kinds of fields and a checksum crosses 100 000 times. Writer and reader are
    both at work all the time: the writer is never more than 64 structures ahead. Before the reader
    begins, those are looked at from outside, where they have to be whole: what is counted as written
    is there. The reader then compares every field and every checksum.

    Given the 'reader' process creates buffer 'test-memory-barrier' with default config
    When the 'writer' process connects to buffer 'test-memory-barrier'
    And the 'writer' process writes complex structure with multiple fields
    And the system ensures memory barriers are in place
    Then the 'reader' process should read structure after semaphore signal
    And all fields should be fully visible
    And no partially visible writes should occur

  Scenario: 7.4 - Pattern Validation
    Frames from one byte to ten mebibytes, all in the ring at the same time. Every byte is compared. How
    many frames there are and how many bytes they take is told by the segment, so that none is missed;
    when all are read, all of the ring is free again.

    Given the 'reader' process creates buffer 'test-pattern' with default config
    When the 'writer' process connects to buffer 'test-pattern'
    And the 'writer' process writes frame with size '1' using incrementing pattern
    And the 'writer' process writes frame with size '1024' using incrementing pattern
    And the 'writer' process writes frame with size '1048576' using incrementing pattern
    And the 'writer' process writes frame with size '10485760' using incrementing pattern
    Then the 'reader' process should validate each byte matches expected pattern
    And no data corruption should be detected
