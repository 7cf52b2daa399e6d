// The step server's process: arguments in, exit status out.

#include <fcntl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>
#include <string_view>

#include "serve/second_writer.hpp"
#include "serve/server.hpp"
#include "serve/steps/all.hpp"

namespace {

using namespace zerobuffer;

constexpr std::string_view kVersion = "zerobuffer-serve-cpp 0.1.0 (protocol 1.0.0)\n";
constexpr std::string_view kHelp =
    "Usage: zerobuffer-serve-cpp [--step-timeout SECONDS]\n"
    "\n"
    "Executes test steps on ZeroBuffer readers, writers and duplex channels, as JSON-RPC on\n"
    "stdin and stdout tells it (framed with Content-Length). Logs go to stderr.\n"
    "\n"
    "  --step-timeout SECONDS  how long a step may take (HARMONY_STEP_TIMEOUT, else 30)\n"
    "  --version               print the version\n"
    "  --help                  print this text\n"
    "\n"
    "Environment: HARMONY_HOST_PID and HARMONY_FEATURE_ID make buffer names unique;\n"
    "HARMONY_STEP_TIMEOUT is what --step-timeout says, where it is not given;\n"
    "ZEROBUFFER_LOG_LEVEL is the least level that is printed (information).\n";

constexpr int kUsageError = 2;
constexpr const char* kStepTimeout = "HARMONY_STEP_TIMEOUT";

std::optional<Milliseconds> parse_seconds(std::string_view text) {
    double seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    const bool sound = error == std::errc{} && end == text.data() + text.size();
    if (!sound || seconds < 0.001 || seconds > 1e6) return std::nullopt;
    return Milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

[[noreturn]] void refuse(const std::string& what) {
    std::fprintf(stderr, "zerobuffer-serve-cpp: cannot use %s; see --help\n", what.c_str());
    std::exit(kUsageError);
}

// For all steps of an orchestrator that gives its scenario another limit than the usual one.
std::optional<Milliseconds> step_timeout_from_environment() {
    const char* value = std::getenv(kStepTimeout);
    if (value == nullptr || *value == '\0') return std::nullopt;
    const auto seconds = parse_seconds(value);
    if (!seconds) refuse(std::string(kStepTimeout) + "='" + value + "'");
    return seconds;
}

// Ends the process where the arguments leave nothing to serve.
Milliseconds step_timeout_from(int argc, char** argv) {
    std::optional<Milliseconds> timeout;
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        if (argument == "--version" || argument == "--help") {
            std::fputs((argument == "--help" ? kHelp : kVersion).data(), stdout);
            std::exit(EXIT_SUCCESS);
        }
        const auto seconds = argument == "--step-timeout" && i + 1 < argc
                                 ? parse_seconds(argv[++i])
                                 : std::nullopt;
        if (!seconds) refuse("'" + std::string(argv[i]) + "'");
        timeout = seconds;
    }
    if (!timeout) timeout = step_timeout_from_environment();
    return timeout.value_or(serve::ServerOptions{}.step_timeout);
}

// Keeps stdout for frames, and turns it into stderr for everybody else: a stray print cannot
// break the framing.
int take_stdout() {
    const int output = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (output < 0 || ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0) {
        std::perror("zerobuffer-serve-cpp: stdout and stderr have to be open");
        std::exit(EXIT_FAILURE);
    }
    return output;
}

// Before any thread is started, so that none of them gets the signals.
int take_signals() {
    std::signal(SIGPIPE, SIG_IGN);
    sigset_t ending;
    ::sigemptyset(&ending);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaddset(&ending, signal);
    ::pthread_sigmask(SIG_BLOCK, &ending, nullptr);
    return ::signalfd(-1, &ending, SFD_CLOEXEC);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 3 && std::string_view(argv[1]) == serve::kAttachArgument) {
        return serve::attach_once(argv[2], STDOUT_FILENO);
    }
    serve::ServerOptions options;
    options.step_timeout = step_timeout_from(argc, argv);
    options.output = take_stdout();
    options.signals = take_signals();
    try {
        const serve::StepRegistry registry = serve::steps::all();
        serve::Log log(serve::level_from_environment());
        serve::Server server(registry, log, options);
        const int status = server.run();
        // A hanging step's thread still uses what would be destroyed here.
        if (server.left_a_thread()) std::_Exit(status);
        return status;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "zerobuffer-serve-cpp: %s\n", error.what());
        return EXIT_FAILURE;
    }
}
