#include "channel/name.hpp"

#include "channel/error.hpp"
#include "test.hpp"

using namespace zerobuffer;
using namespace zerobuffer::test;

TEST(names_that_no_file_could_have_are_refused) {
    for (const std::string& name : {std::string(), std::string("."), std::string(".."),
                                    std::string("a/b"), std::string("a\0b", 3),
                                    std::string(246, 'n')}) {
        check_throws<InvalidName>([&] { BufferName{name}; });
    }
    check_equal(245U, BufferName(std::string(245, 'n')).text().size());
}

TEST(the_longest_channel_name_leaves_room_for_both_buffers) {
    const ChannelName name(std::string(236, 'n'));
    check_equal(245U, name.response().text().size());
    check_throws<InvalidName>([] { ChannelName{std::string(237, 'n')}; });
}

TEST(names_on_the_system_are_as_agreed) {
    const BufferName name("N");
    check_equal("/N", name.segment());
    check_equal("/sem-w-N", name.data_semaphore());
    check_equal("/sem-r-N", name.space_semaphore());
    check_equal("/tmp/zerobuffer/N.lock", name.lock_path());
    check_equal("C_request", ChannelName("C").request().text());
    check_equal("C_response", ChannelName("C").response().text());
}
