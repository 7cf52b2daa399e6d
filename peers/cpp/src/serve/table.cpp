#include "serve/table.hpp"

#include <charconv>

#include <nlohmann/json.hpp>

#include "serve/check.hpp"

namespace zerobuffer::serve {

const std::string& TableRow::text(const std::string& column) const {
    const auto cell = cells_.find(column);
    expect(cell != cells_.end(), "the table has no column '" + column + "'");
    return cell->second;
}

std::uint64_t TableRow::number(const std::string& column) const {
    const std::string& digits = text(column);
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    expect(error == std::errc{} && end == digits.data() + digits.size(),
           "'" + digits + "' in column '" + column + "' is not a number");
    return value;
}

std::vector<TableRow> table_of(const rpc::StringMap& parameters) {
    const auto table = parameters.find("table");
    expect(table != parameters.end(), "expected a table with the step, found none");
    std::vector<std::vector<std::string>> lines;
    try {
        nlohmann::json::parse(table->second).get_to(lines);
    } catch (const nlohmann::json::exception& error) {
        throw StepFailure(std::string("the step's table cannot be read: ") + error.what());
    }
    expect(lines.size() > 1, "expected a table with rows, found none");
    std::vector<TableRow> rows;
    for (std::size_t i = 1; i < lines.size(); ++i) {
        std::map<std::string, std::string> cells;
        for (std::size_t c = 0; c < lines[i].size() && c < lines[0].size(); ++c) {
            cells[lines[0][c]] = lines[i][c];
        }
        rows.emplace_back(std::move(cells));
    }
    return rows;
}

}  // namespace zerobuffer::serve
