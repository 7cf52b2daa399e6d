@linux
Feature: Performance monitoring

  Waiting costs nothing, and moving data costs little more than the memory does.

  Background:
    Given the test environment is initialized
    And all processes are ready

  @exclusive @separate-processes
  Scenario: 9.1 - CPU Usage Monitoring
    A reader that waits for frames sleeps on the semaphore that its writer posts: its process uses
    less than one per cent of a CPU meanwhile. At full speed, the processes at both ends together use
    no more than four times the CPU time that copying every byte in and out takes by itself.

    Given the 'reader' process creates buffer 'test-cpu-usage' with default config
    And the 'reader' process reads frames in the background
    When the 'writer' process connects to buffer 'test-cpu-usage'
    Then monitor CPU usage during idle (blocked on semaphore)
    And verify near-zero CPU when waiting
    When transfer data actively
    Then monitor CPU during active transfer
    And verify efficient data copying
    And the 'reader' process should have read every frame in the background
