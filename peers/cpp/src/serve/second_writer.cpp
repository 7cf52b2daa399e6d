#include "serve/second_writer.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <exception>

#include "channel/file.hpp"
#include "channel/writer.hpp"
#include "serve/attempt.hpp"
#include "serve/check.hpp"

namespace zerobuffer::serve {

namespace {

constexpr const char* kThisProgram = "/proc/self/exe";

struct Pipe {
    Pipe() {
        int ends[2];
        expect(::pipe2(ends, O_CLOEXEC) == 0, std::string("no pipe: ") + std::strerror(errno));
        read = Descriptor(ends[0]);
        write = Descriptor(ends[1]);
    }
    Descriptor read;
    Descriptor write;
};

pid_t spawn(const BufferName& name, int output) {
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    std::string program = "zerobuffer-serve-cpp";
    std::string argument = kAttachArgument;
    std::string buffer = name.text();
    char* const arguments[] = {program.data(), argument.data(), buffer.data(), nullptr};
    pid_t pid = 0;
    const int code = ::posix_spawn(&pid, kThisProgram, &actions, nullptr, arguments, environ);
    ::posix_spawn_file_actions_destroy(&actions);
    expect(code == 0, std::string("could not start a process: ") + std::strerror(code));
    return pid;
}

std::string read_to_end(int fd) {
    std::string text;
    std::array<char, 512> chunk;
    for (;;) {
        const ssize_t size = ::read(fd, chunk.data(), chunk.size());
        if (size < 0 && errno == EINTR) continue;
        if (size <= 0) return text;
        text.append(chunk.data(), static_cast<std::size_t>(size));
    }
}

}  // namespace

std::string attach_in_another_process(const BufferName& name) {
    Pipe pipe;
    const pid_t pid = spawn(name, pipe.write.get());
    pipe.write.reset();
    const std::string said = read_to_end(pipe.read.get());
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    expect(WIFEXITED(status) && WEXITSTATUS(status) == 0 && !said.empty(),
           "expected the other process to say what came of its attempt, found status " +
               std::to_string(status));
    return said;
}

int attach_once(const char* buffer, int output) {
    std::string outcome = "connected";
    try {
        Writer::connect(BufferName(buffer), {.connect_timeout = Milliseconds{0}});
    } catch (...) {
        outcome = describe(std::current_exception());
    }
    const ssize_t written = ::write(output, outcome.data(), outcome.size());
    return written == static_cast<ssize_t>(outcome.size()) ? 0 : 1;
}

}  // namespace zerobuffer::serve
