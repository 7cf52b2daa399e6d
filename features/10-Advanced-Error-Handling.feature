@linux
Feature: Advanced error handling

  Failures in the middle of something: of a creation, a write, a wait; and the wrong user.

  Background:
    Given the test environment is initialized
    And all processes are ready

  Scenario: 10.1 - Partial Initialization Failures
    First the buffer is made, used from end to end and removed: nothing is wrong with it or with the
    machine. Then the semaphore that the writer posts cannot be made: a folder is in its place, and
    after that the process has no file descriptor left. The error names the semaphore; the folders of
    shared memory and locks, and what the process holds, are what they were before.

    Given the test creates shared memory successfully for 'test-partial'
    When simulate failure creating sem-w semaphore
    Then the 'reader' process should clean up shared memory
    And the 'reader' process should throw appropriate exception
    And the test should verify no resources leaked
    And the test should be able to create buffer 'test-partial'

  Scenario: 10.2 - Invalid Frame Header Variations
    A header that no sound writer leaves is an error, twice if it is read twice, and costs nobody
    but its own buffer.

    Given the 'reader' process creates buffer 'test-frame-corruption' with default config
    When the 'writer' process connects to buffer 'test-frame-corruption'
    And the 'writer' process writes valid frame
    Then the 'reader' process should read frame with sequence '1' and size '1024'
    And the 'reader' process should validate frame data
    And test multiple corruption scenarios:
      | corruption_type          | expected_result           |
      | payload_size > remaining | reader handles gracefully |
      | sequence_number invalid  | reader detects error      |
      | header magic corrupted   | reader rejects frame      |

  @separate-processes
  Scenario: 10.3 - Reader Death During Active Write
    The reader is killed while a large frame is being filled: the writer's next operation says so.

    Given the 'reader' process creates buffer 'test-reader-death-write' with metadata size '0' and payload size '10240'
    When the 'writer' process connects to buffer 'test-reader-death-write'
    And the 'writer' process starts writing large frame '8192' bytes
    And the 'reader' process is killed while write in progress
    And the 'writer' process detects reader death on next operation
    Then the 'writer' process should throw reader dead exception

  @separate-processes
  Scenario: 10.4 - Writer Death During Read
    The reader sleeps at the semaphore when its writer is killed. It does not sleep on until its time
    is up.

    Given the 'reader' process creates buffer 'test-writer-death-read' with default config
    When the 'writer' process connects to buffer 'test-writer-death-read'
    And the 'reader' process waits on semaphore for data
    And the 'writer' process crashes while reader blocked
    Then the 'reader' process should detect writer death after timeout '5' seconds
    And the 'reader' process should throw writer dead exception

  @shm-size(16)
  Scenario: 10.5 - System Resource Exhaustion
    In a shared memory of its own, and a small one: one file takes all but a sliver, and semaphores, which
    are files there, take the sliver. A buffer is then attempted three times: with room for no
    semaphore, for one, and for two but not for the segment. Each time the error is the one for no room,
    names the part that could not be made, and nothing of the other parts is left. When the semaphores
    are gone, all of the room is there again.

    Given create maximum allowed semaphores
    When attempt to create buffer 'test-sem-exhausted'
    Then the creation should fail with system error
    And appropriate error handling should occur
    And partial resources should be cleaned up
    When cleanup all buffers
    Then the test should verify resources properly released
    And the system should return to normal state
    And the test should be able to create buffer 'test-sem-exhausted'

  @separate-processes
  Scenario: 10.6 - Permission Errors
    Two users that the system tells apart: the reader is root and gives its files to itself alone, the
    other writer is a process that has become `nobody`. It is refused with the error for that, which
    names the file; the buffer's files are what they were, and nobody has taken the writer's place. A
    writer with permission connects afterwards, and its frame crosses. Skipped where only one user can
    be had.

    Given the reader is 'user1'
    And the 'reader' process creates buffer 'test-permissions' with restrictive permissions
    When the writer is 'user2'
    And another writer attempts to connect without permissions
    Then permission denied error should be handled
    And no resource corruption should occur
    When the 'writer' process connects to buffer 'test-permissions'
    And the 'writer' process writes frame with data 'permitted'
    Then the 'reader' process should read frame with data 'permitted'
