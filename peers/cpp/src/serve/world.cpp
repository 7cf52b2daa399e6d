#include "serve/world.hpp"

namespace zerobuffer::serve {

namespace {

// How long the end of a scenario may take before no further buffer is audited.
constexpr Milliseconds kAudits{1000};

}  // namespace

void World::clear() {
    clients.clear();
    writers.clear();
    servers.clear();
    readers.clear();
    leftovers.reset();
    second_writer.reset();
    free_space_rows.clear();
    buffer_.reset();
    attempt_.reset();
    told_.clear();
}

void World::end(const std::function<void(std::string)>& tell) {
    const TimePoint enough = deadline_after(kAudits);
    const auto look = [&](const BufferName& name, auto& role) {
        const std::string buffer = "buffer '" + name.text() + "': ";
        if (Clock::now() >= enough) {
            log_.warn(buffer + "not audited: the others took all the time that there is");
            return;
        }
        const Audit audit = role.audit();
        if (audit.unknown) log_.info(buffer + "not audited: " + *audit.unknown);
        if (audit.disorder) tell(buffer + *audit.disorder);
    };
    readers.visit([&](ReaderRole& role) { look(role.name(), role); });
    clients.visit([&](ClientRole& role) { look(role.name().response(), role.client()); });
    // Last, because they are stopped for it, and their handlers waited for.
    servers.visit([&](ServerRole& role) { look(role.name().request(), role); });
    clear();
}

ReaderRole& World::create_reader(const std::string& role, const std::string& buffer,
                                 const BlockSizes& sizes) {
    const BufferName name(name_on_machine(buffer));
    use_buffer(name);
    readers.remove(role, buffer);
    Reader reader = Reader::create(name, {sizes, Sequences::consecutive, holdings_});
    log_.info("created buffer " + name.text());
    return readers.add(role, buffer, std::make_unique<ReaderRole>(name, std::move(reader)));
}

WriterRole& World::connect_writer(const std::string& role, const std::string& buffer,
                                  Milliseconds timeout, Earlier earlier) {
    const BufferName name(name_on_machine(buffer));
    use_buffer(name);
    if (earlier == Earlier::replaced) writers.remove(role, buffer);
    Writer writer = Writer::connect(name, {timeout, Milliseconds{5000}, holdings_});
    log_.info("connected to buffer " + name.text());
    return writers.add(role, buffer, std::make_unique<WriterRole>(name, std::move(writer)));
}

void World::attempt(const std::string& what, const std::function<void()>& run,
                    std::optional<std::uint64_t> size) {
    attempt_.emplace(what, run, size);
    log_.info("attempt: " + what + ": " + attempt_->outcome());
}

const Attempt& World::attempted() const {
    expect(attempt_.has_value(), "expected that something was attempted, found nothing");
    return *attempt_;
}

const BufferName& World::buffer() const {
    expect(buffer_.has_value(), "there is no buffer in this process yet");
    return *buffer_;
}

}  // namespace zerobuffer::serve
