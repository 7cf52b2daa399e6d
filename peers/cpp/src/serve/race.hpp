#pragma once
// Two processes that want the same buffer at the same moment, many times.

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "channel/holdings.hpp"
#include "channel/name.hpp"
#include "channel/reader.hpp"
#include "rpc/params.hpp"
#include "serve/meeting.hpp"

namespace zerobuffer::serve {

// One process's part.
class Race {
public:
    Race(const BufferName& name, std::shared_ptr<Holdings> holdings)
        : name_(name), holdings_(std::move(holdings)), meeting_(name) {}

    void run(int rounds);

    // A 1 or a 0 for each round, this process's wins.
    const std::string& wins() const noexcept { return wins_; }
    // How often an attempt ended in which error, as "Kind=count,Kind=count".
    std::string losses() const;
    // How many of the buffers won were sound.
    std::uint64_t intact() const noexcept { return intact_; }

private:
    void run_round();
    std::unique_ptr<Reader> try_to_create();
    void check_intact(Reader& reader);

    BufferName name_;
    std::shared_ptr<Holdings> holdings_;
    Meeting meeting_;
    std::string wins_;
    std::map<std::string, int> losses_;
    std::uint64_t intact_ = 0;
};

// The values that all processes told under this key; the orchestrator puts a process's name before
// a key where they differ.
std::map<std::string, std::string> told_by_process(const rpc::StringMap& context,
                                                   const std::string& key);

}  // namespace zerobuffer::serve
