@linux
Feature: Edge cases

  Frames at the limits of the ring: the largest, the smallest, exact fits, wraps, and races for
  one name.

  Scenario: 4.1 - Alternating Frame Sizes
    A large frame that does not fit behind the others waits for the reader and wraps: a marker
    stands where it would have begun, and the frame itself at the beginning of the ring.

    Given the 'reader' process creates buffer 'test-alternating' with metadata size '0' and payload size '10240'
    When the 'writer' process connects to buffer 'test-alternating'
    And the 'writer' process writes large frame using '90%' of buffer
    And the 'writer' process writes small frame of '1' byte
    And the 'writer' process attempts to write large frame again
    Then the 'reader' process should read frame with size '9216'
    And the 'reader' process should validate frame data
    And the 'reader' process signals space available
    And the 'reader' process should read frame with size '1'
    And the 'reader' process should validate frame data
    And the 'reader' process signals space available
    And the 'reader' process should read frame with size '9216'
    And the 'reader' process should validate frame data
    And the 'writer' process proper wrap-around handling should occur
    And the 'writer' process no deadlocks should happen

  Scenario: 4.2 - Semaphore Signal Coalescing
    Ten frames that nobody waits for leave ten posts on the semaphore, and the reader finds ten
    frames: not one more, not one less.

    Given the 'reader' process creates buffer 'test-coalesce' with default config
    When the 'writer' process connects to buffer 'test-coalesce'
    And the 'writer' process writes '10' frames rapidly without reader consuming
    Then the 'writer' process the semaphore count should represent pending frames
    When the 'reader' process wakes and processes all frames
    Then the 'reader' process all frames should be read correctly
    And the 'reader' process should have read '10' frames
    And the 'reader' process the coalesced signals should be handled properly

  Scenario: 4.3 - Zero-Sized Metadata Block
    Where there is no metadata block, metadata is refused and frames are not.

    Given the 'reader' process creates buffer 'test-zero-metadata' with metadata size '0' and payload size '10240'
    When the 'writer' process connects to buffer 'test-zero-metadata'
    And the 'writer' process attempts to write metadata
    Then the 'writer' process metadata write should fail appropriately
    When the 'writer' process writes frame without metadata
    Then the 'writer' process should verify frame write succeeded
    And the 'reader' process should verify system works correctly without metadata

  Scenario: 4.4 - Minimum Buffer Sizes
    The smallest buffer has 64 bytes: 48 for data, 16 for the header, and not a byte more.

    Given the 'reader' process creates buffer 'test-minimum' with minimum viable size '64'
    When the 'writer' process connects to buffer 'test-minimum'
    And the 'writer' process attempts to write '49' byte frame
    Then the 'writer' process should receive FrameTooLargeException
    When the 'writer' process writes frame with size '48'
    Then the 'reader' process should read frame with size '48'
    And the 'reader' process signals space available
    When the 'writer' process writes single byte frame
    Then the 'writer' process should verify write succeeded
    When the 'writer' process attempts to write '49' byte frame
    Then the 'writer' process should receive FrameTooLargeException
    And the 'reader' process should read frame with size '1'

  Scenario: 4.5 - Reader Slower Than Writer
    A slow reader sets the pace of a writer that never rests: a hundred frames through a ring that
    holds seven.

    Given the 'reader' process creates buffer 'test-reader-slower' with metadata size '0' and payload size '1024'
    When the 'writer' process connects to buffer 'test-reader-slower'
    And the 'writer' process writes continuously at high speed
    And the 'reader' process reads with '50' ms delay per frame
    And the 'reader' process the test runs for '100' frames
    Then the 'reader' process should receive all frames without loss
    And the 'writer' process should block appropriately
    And the 'writer' process flow control should work correctly

  Scenario: 4.6 - Exact Buffer Fit
    A frame of the ring's size, header included, fills it to the last byte; once it is released the
    next one begins at the start.

    Given the 'reader' process creates buffer 'test-exact-fit' with metadata size '0' and payload size '10240'
    When the 'writer' process connects to buffer 'test-exact-fit'
    And the 'writer' process writes frame with exact size '10224'
    Then buffer should be completely full
    And no more writes should be possible
    When the 'reader' process reads frame
    Then the frame should have size '10224'
    When the 'reader' process signals space available
    Then the 'writer' process should be able to write again

  Scenario: 4.7 - Minimum Frame Size
    A frame has at least one byte of data, and sixteen of header.

    Given the 'reader' process creates buffer 'test-min-frame' with metadata size '0' and payload size '10240'
    When the 'writer' process connects to buffer 'test-min-frame'
    And the 'writer' process attempts to write frame with size '0'
    Then the 'writer' process should fail with zero size error
    When the 'writer' process writes frame with size '1'
    Then the 'reader' process should read frame with size '1'
    And frame overhead should be '16' bytes

  Scenario: 4.8 - Wrap-Around Behavior
    Straight after the first frame the second could never be placed. With a third one between them
    it can, as soon as that is released: the write waits, wraps and completes.

    Given the 'reader' process creates buffer 'test-wrap' with metadata size '0' and payload size '10240'
    When the 'writer' process connects to buffer 'test-wrap'
    And the 'writer' process writes frame with size '6144'
    Then the 'reader' process should read frame with size '6144'
    When the 'reader' process signals space available
    And the 'writer' process writes frame with size '2048'
    And the 'writer' process writes frame with size '7168'
    Then the 'writer' process should wait for space
    And the 'reader' process should read frame with size '2048'
    When the 'reader' process signals space available
    Then the 'writer' process should complete write at buffer start
    And the 'reader' process should read frame with size '7168'

  Scenario: 4.9 - Rapid Write-Read Cycles
    Ten thousand frames through a ring of nine, as fast as both sides can.

    Given the 'reader' process creates buffer 'test-rapid' with metadata size '0' and payload size '10240'
    When the 'writer' process connects to buffer 'test-rapid'
    And the 'writer' process writes '10000' frames of size '1024' rapidly
    And the 'reader' process reads all frames and signals immediately
    Then the 'reader' process should have read '10000' frames
    And all sequence numbers should be correct
    And no frames should be lost
    And no deadlocks should occur

  @separate-processes
  Scenario: 4.10 - Buffer Full With Multiple Writers Rejected
    A writer in another process is turned away from a buffer that is filling up, and the first one
    fills it to the last byte.

    Given the 'reader' process creates buffer 'test-multi-writer-full' with metadata size '0' and payload size '10240'
    When the 'writer' process connects to buffer 'test-multi-writer-full'
    And the 'writer' process fills buffer to '80%' capacity
    And the 'writer' process a second writer process attempts to connect to buffer 'test-multi-writer-full'
    Then the 'writer' process the second writer should fail with writer exists error
    When the 'writer' process continues filling buffer to '100%'
    Then the 'writer' process should block waiting for space

  @separate-processes @step-timeout(60)
  Scenario: 4.11 - Concurrent Initialization Race
    Two processes want the same name at the same moment, a hundred times: one gets a sound buffer,
    the other the error that says so.

    Given two 'reader' processes
    When both simultaneously attempt to create buffer 'race-test'
    Then only one should succeed
    And other should receive appropriate error
    And no resource corruption should occur

  Scenario: 4.12 - Writer Before Reader
    A writer that does not want to wait is told that there is no such buffer.

    Given the system is ready
    When a 'writer' process attempts to connect to non-existent buffer 'no-reader'
    Then the connection should fail with appropriate error
    And error should indicate no shared memory found
