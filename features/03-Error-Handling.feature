@linux
Feature: Error handling

  What must not be done is refused with a typed error, and what was there before stays as it was.

  Scenario: 3.1 - Metadata Write-Once Enforcement
    Metadata is written once. A second attempt fails and changes not a byte of the first.

    Given the 'reader' process creates buffer 'test-metadata-once' with metadata size '1024' and payload size '10240'
    When the 'writer' process connects to buffer 'test-metadata-once'
    And the 'writer' process writes metadata with size '500'
    And the 'writer' process writes frame with data 'test'
    Then the 'reader' process should have metadata with size '500'
    And the 'reader' process should read frame with data 'test'
    When the 'writer' process attempts to write metadata again with size '200'
    Then the 'writer' process verifies the second metadata write should fail
    And the 'reader' process verifies the original metadata should remain unchanged

  Scenario: 3.2 - Metadata Size Overflow
    Metadata that is larger than its block is refused, and the block can still be written.

    Given the 'reader' process creates buffer 'test-metadata-overflow' with metadata size '1024' and payload size '10240'
    When the 'writer' process connects to buffer 'test-metadata-overflow'
    And the 'writer' process attempts to write metadata with size '2048'
    Then the 'writer' process verifies the metadata write should fail with size error
    When the 'writer' process writes metadata with size '100'
    Then the 'reader' process should have metadata with size '100'

  Scenario: 3.3 - Zero Metadata Configuration
    A buffer without a metadata block is a buffer all the same.

    Given the 'reader' process creates buffer 'test-no-metadata' with metadata size '0' and payload size '10240'
    When the 'writer' process connects to buffer 'test-no-metadata'
    And the 'writer' process writes frames without metadata
    Then the 'reader' process should read frames successfully
    And the 'reader' process should have read '3' frames
    And the 'reader' process verifies the system should work without metadata
