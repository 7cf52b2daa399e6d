#pragma once
// Everything a scenario has in this process: its readers, writers, servers and clients.

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "channel/holdings.hpp"
#include "rpc/params.hpp"
#include "serve/attempt.hpp"
#include "serve/check.hpp"
#include "serve/client_role.hpp"
#include "serve/free_space.hpp"
#include "serve/log.hpp"
#include "serve/raw_buffer.hpp"
#include "serve/reader_role.hpp"
#include "serve/server_role.hpp"
#include "serve/writer_role.hpp"

namespace zerobuffer::serve {

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

    // Ends the one that find() gives.
    void remove_found(const std::string& name) {
        find(name);
        entries_.pop_back();
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

    template <class Visit>
    void visit(Visit&& visit) {
        for (Entry& entry : entries_) visit(*entry.role);
    }

    bool empty() const noexcept { return entries_.empty(); }
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
    // The same at the end of a scenario. Tells what is not in order in the buffers that are read here,
    // each as soon as that is known.
    void end(const std::function<void(std::string)>& tell);

    // A buffer's reader in this process; an earlier one of the same role and buffer goes first.
    ReaderRole& create_reader(const std::string& role, const std::string& buffer,
                              const BlockSizes& sizes);
    // A buffer's writer, in place of an earlier one of the same role and buffer, or beside it.
    enum class Earlier { replaced, kept };
    WriterRole& connect_writer(const std::string& role, const std::string& buffer,
                               Milliseconds timeout, Earlier earlier = Earlier::replaced);

    // What came of the last thing that a step attempted.
    void attempt(const std::string& what, const std::function<void()>& run,
                 std::optional<std::uint64_t> size = std::nullopt);
    const Attempt& attempted() const;

    // The buffer that was last made, connected to or looked for; throws StepFailure if none was.
    const BufferName& buffer() const;
    void use_buffer(const BufferName& name) { buffer_ = name; }

    // For later steps of the scenario, in whatever process.
    void tell(const std::string& key, std::string value) { told_[key] = std::move(value); }
    rpc::StringMap take_told() { return std::exchange(told_, {}); }

    Roles<ReaderRole> readers{"reader"};
    Roles<WriterRole> writers{"writer"};
    Roles<ServerRole> servers{"server"};
    Roles<ClientRole> clients{"client"};
    // What a reader met before it made its buffer.
    std::optional<BufferFilesSeen> leftovers{};
    // What came of a second writer in a process of its own.
    std::optional<std::string> second_writer{};
    std::vector<FreeSpaceRow> free_space_rows{};

private:
    std::string run_;
    std::shared_ptr<Holdings> holdings_;
    Log& log_;
    std::optional<BufferName> buffer_{};
    std::optional<Attempt> attempt_{};
    rpc::StringMap told_{};
};

}  // namespace zerobuffer::serve
