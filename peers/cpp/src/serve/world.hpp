#pragma once
// Everything a scenario has in this process: its readers, writers, servers and clients.

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "channel/reader.hpp"
#include "channel/writer.hpp"
#include "duplex/client.hpp"
#include "duplex/server.hpp"
#include "serve/check.hpp"
#include "serve/log.hpp"
#include "serve/test_data.hpp"

namespace zerobuffer::serve {

struct FrameRecord {
    std::uint64_t sequence;
    Bytes data;
};

struct ReaderRole {
    Reader reader;
    std::optional<Frame> held{};           // read, and its space not given back yet
    std::vector<FrameRecord> frames{};     // read one by one
    std::vector<std::uint64_t> stream{};   // sequence numbers of frames read until their end
    std::vector<std::string> sequence_errors{};
};

struct WriterRole {
    ~WriterRole();

    Writer writer;
    std::optional<Loan> loan{};
    std::jthread background{};
};

struct ServerRole {
    ~ServerRole();

    ImmutableDuplexServer server;
    // Ends the waits of handlers.
    std::stop_source stopping{};
};

struct ClientRole {
    DuplexClient client;
    std::map<std::uint64_t, Bytes> sent{};
    std::vector<FrameRecord> answers{};
    TimePoint first_sent{};
    std::optional<Milliseconds> total_time{};
};

// The holders of one role. A step means the one it names, else the one last used.
template <class Role>
class Roles {
public:
    explicit Roles(std::string kind) : kind_(std::move(kind)) {}

    Role& add(const std::string& name, const std::string& buffer, std::unique_ptr<Role> role) {
        entries_.push_back({name, buffer, std::move(role)});
        return *entries_.back().role;
    }

    // Ends an earlier one, so that its buffer can be made again.
    void remove(const std::string& name, const std::string& buffer) {
        std::erase_if(entries_, [&](const Entry& entry) {
            return entry.name == name && entry.buffer == buffer;
        });
    }

    Role& find(const std::string& name) {
        expect(!entries_.empty(), "there is no " + kind_ + " in this process yet");
        auto used = entries_.end() - 1;
        for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
            if (entry->name == name) used = entry;
        }
        std::rotate(used, used + 1, entries_.end());
        return *entries_.back().role;
    }

    void clear() { entries_.clear(); }

private:
    struct Entry {
        std::string name;
        std::string buffer;
        std::unique_ptr<Role> role;
    };

    std::string kind_;
    std::vector<Entry> entries_;  // the last used at the end
};

class World {
public:
    World(std::string run, std::shared_ptr<Holdings> holdings, Log& log)
        : run_(std::move(run)), holdings_(std::move(holdings)), log_(log) {}

    // What a step calls `name` is called this on the machine.
    std::string name_on_machine(const std::string& name) const { return name + "_" + run_; }
    const std::shared_ptr<Holdings>& holdings() const noexcept { return holdings_; }
    Log& log() noexcept { return log_; }
    // Ends everything that earlier steps began.
    void clear();

    Roles<ReaderRole> readers{"reader"};
    Roles<WriterRole> writers{"writer"};
    Roles<ServerRole> servers{"server"};
    Roles<ClientRole> clients{"client"};

private:
    std::string run_;
    std::shared_ptr<Holdings> holdings_;
    Log& log_;
};

}  // namespace zerobuffer::serve
