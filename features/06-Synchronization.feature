@linux
Feature: Synchronization

  Sequence numbers, semaphores and free bytes tell the same story on both sides.

  Scenario: 6.1 - Sequence Number Gap Detection
    A frame whose number is not the next one is an error that names both numbers.

    Given the 'reader' process creates buffer 'test-sequence-gap' with default config
    When the 'writer' process connects to buffer 'test-sequence-gap'
    And the 'writer' process writes frame with sequence '1'
    And the 'writer' process writes frame with sequence '2'
    And the 'writer' process writes frame with sequence '3'
    And the 'writer' process writes frame with sequence '4'
    Then the 'reader' process should read frame with sequence '1'
    And the 'reader' process should read frame with sequence '2'
    And the 'reader' process should read frame with sequence '3'
    When the test corrupts next frame sequence to '5'
    And the 'reader' process attempts to read frame
    Then the read should fail with sequence error
    And the error should show expected '4' got '5'

  Scenario: 6.2 - Burst Write Performance
    Fifty frames that were written before the reader looked are all there.

    Given the 'reader' process creates buffer 'test-burst' with metadata size '0' and payload size '102400'
    When the 'writer' process connects to buffer 'test-burst'
    And the 'writer' process writes '50' frames of size '1024' as fast as possible
    And the 'reader' process waits '1' second before reading
    And the 'reader' process reads all '50' frames
    Then all frames should be received correctly
    And data integrity should be maintained

  Scenario: 6.3 - Slow Reader Flow Control
    A writer of the same speed as the memory, a reader of ten frames a second: the writer waits, and
    the frame after the last one read is the next one.

    Given the 'reader' process creates buffer 'test-slow-reader' with metadata size '0' and payload size '51200'
    When the 'writer' process connects to buffer 'test-slow-reader'
    And the 'writer' process writes frames continuously
    And the 'reader' process reads one frame every '100' ms
    Then the 'reader' process should have read '20' frames
    And the 'writer' process should block when buffer full
    And no frames should be lost
    And flow control should work correctly
    And the 'reader' process should read frame with sequence '21'
    And the 'reader' process should validate frame data

  Scenario: 6.4 - Semaphore Signal Ordering
    Two frames, two posts, two reads.

    Given the 'reader' process creates buffer 'test-semaphore' with default config
    When the 'writer' process connects to buffer 'test-semaphore'
    And the 'writer' process writes frame and signal
    And the 'writer' process immediately writes another frame before reader wakes
    Then the 'writer' process the semaphore count should represent pending frames
    And the 'reader' process should process both frames correctly
    And the semaphore count should reflect pending frames
