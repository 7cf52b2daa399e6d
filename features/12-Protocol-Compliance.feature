@linux
Feature: Protocol compliance

  The layout, the counters and the names are those of the protocol, byte by byte.

  Background:
    Given the test environment is initialized
    And all processes are ready
    And we are in DEBUG mode for protocol compliance tests

  Scenario: 12.1 - Protocol Compliance OIEB
    Every write and every read, with all fields of the control block looked at from outside before
    and after it. A frame's size is that of its header and its data, and of the end of the ring where
    it skips that; what is skipped counts like a frame. Among the frames are one that fills its ring,
    one that ends where the ring does and one that skips the end. Blocks begin at multiples of 64 bytes
    and have such sizes, whatever was asked for; positions inside the ring follow from the frames alone.

    Given the 'reader' process creates buffer 'test-oieb-compliance' with default config
    When the 'writer' process connects to buffer 'test-oieb-compliance'
    And performs multiple write operations
    Then the 'writer' process should verify after each write:
      | field                 | condition               |
      | payload_written_count | increments by 1         |
      | payload_free_bytes    | decreases by frame size |
      | payload_write_pos     | advances correctly      |
      | all values            | are 64-byte aligned     |
    When the 'reader' process performs multiple read operations
    Then the 'reader' process should verify after each read:
      | field              | condition               |
      | payload_read_count | increments by 1         |
      | payload_free_bytes | increases by frame size |
      | payload_read_pos   | advances correctly      |

  Scenario: 12.2 - Memory Alignment Verification
    Where the system has mapped the segment, and what follows from that for its parts: each number of
    the control block stands at a multiple of its own size. Frames stand where the one before them
    ended, at odd positions too, and are whole all the same. Sizes that are no multiples of 64 are
    rounded up, and all of what that makes can be used.

    Given the 'reader' process creates buffer 'test-alignment' with default config
    Then the 'reader' process should verify OIEB starts at 64-byte aligned address
    And should verify metadata block starts at 64-byte aligned offset
    And should verify payload block starts at 64-byte aligned offset
    When the 'writer' process connects to buffer 'test-alignment'
    And writes various sized frames
    Then the 'writer' process should verify all data access respects alignment
    When the 'reader' process performs multiple read operations

  @separate-processes
  Scenario: 12.3 - Lock File Semantics
    The lock is held as long as its reader lives, whoever asks. A dead reader's lock is free, though
    its file is still there, and the next reader takes it over with all that was left behind.

    Given the 'reader' process creates buffer 'test-lock-semantics' with default config
    Then verify lock file exists at correct location
    And verify lock file is actually locked
    When kill reader process
    Then new reader can acquire lock after detecting stale
    When graceful shutdown
    Then verify lock file is removed

  Scenario: 12.4 - Semaphore Naming Convention
    The names of semaphores follow from the buffer's, and nothing else is made for it. The longest
    name that is allowed is as good as any other, and one more byte is refused.

    Given create buffers with various names:
      | buffer_name                                            | description                     |
      | 550e8400-e29b-41d4-a716-446655440000                   | UUID format                     |
      | test_buffer-123                                        | alphanumeric with special chars |
      | very_long_buffer_name_that_tests_maximum_length_limits | max length                      |
    Then verify semaphores created as 'sem-w-{name}' and 'sem-r-{name}'
    And verify both Linux and Windows naming rules respected
