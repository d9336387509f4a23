// Archives: layout, and every kind of damage to a zip.
#include "rialto/base/hash.h"
#include "rialto/formats/torch_zip.h"
#include "tests/unit/formats/temp_file.h"

namespace rialto::formats {
namespace {

using namespace std::string_literals;

std::string archive_of(DType dtype, const Shape& shape, const std::string& data) {
  const TensorArchive archive = make_tensor_archive(dtype, shape, crc32(0, bytes_of(data)));
  return archive.prefix + data + archive.suffix;
}

class TorchZip : public TempFolder {
 protected:
  std::string error(const std::string& bytes) const {
    return input_error([&] {
      const ReadFile file(put("x", bytes));
      locate_tensor(file, 0, file.size());
    });
  }
  const std::string data_ = "0123456789abcdef01234567";
  const std::string good_ = archive_of(DType::kF32, {2, 3}, data_);
};

TEST_F(TorchZip, ReadsBackWhatItWrites) {
  for (const size_t before : {0u, 1u, 64u}) {
    const ReadFile file(put("x", std::string(before, '-') + good_ + "tail"));
    const StoredTensor tensor = locate_tensor(file, before, good_.size());
    EXPECT_EQ(tensor.dtype, DType::kF32);
    EXPECT_EQ(tensor.shape, (Shape{2, 3}));
    EXPECT_EQ(tensor.size, 24u);
    EXPECT_EQ((tensor.offset - before) % 64, 0u);
    std::string bytes(24, '\0');
    file.read_at(tensor.offset, std::as_writable_bytes(std::span(bytes)));
    EXPECT_EQ(bytes, data_);
  }
}

TEST_F(TorchZip, SizesAreMultiplesOf64AndDoNotDependOnTheCrc) {
  for (int64_t n = 0; n < 200; n += 7) {
    const TensorArchive a = make_tensor_archive(DType::kU8, {n}, 0),
                        b = make_tensor_archive(DType::kU8, {n}, 0xFFFFFFFF);
    EXPECT_EQ(a.prefix.size(), b.prefix.size());
    EXPECT_EQ(a.suffix.size(), b.suffix.size());
    EXPECT_EQ(a.prefix.size() % 64, 0u);
    EXPECT_EQ((a.prefix.size() + static_cast<size_t>(n) + a.suffix.size()) % 64, 0u) << n;
  }
}

TEST_F(TorchZip, Over4GiB) {
  // Sparse: the file has the size, the disk does not hold it.
  const int64_t elements = (int64_t{5} << 30) / 2;
  const TensorArchive archive = make_tensor_archive(DType::kBF16, {elements}, 0);
  const fs::path path = folder_ / "big";
  const auto file = real_file_ops().create(path);
  file->write(bytes_of(archive.prefix));
  file->write_at(archive.prefix.size() + static_cast<uint64_t>(elements) * 2, bytes_of(archive.suffix));
  file->close();
  const ReadFile big(path);
  const StoredTensor tensor = locate_tensor(big, 0, big.size());
  EXPECT_EQ(tensor.size, uint64_t{5} << 30);
  EXPECT_EQ(tensor.offset, archive.prefix.size());
}

TEST_F(TorchZip, ListsRecords) {
  const ReadFile file(put("x", good_));
  const auto records = read_zip_directory(file, 0, file.size());
  ASSERT_EQ(records.size(), 4u);
  EXPECT_EQ(records[0].name, "data.pkl");
  EXPECT_EQ(records[1].name, "data/0");
  EXPECT_EQ(records[1].crc, crc32(0, bytes_of(data_)));
}

TEST_F(TorchZip, ValuesAndSmallTensors) {
  const std::string bytes = make_torch_file(
      *p_dict({{p_str("n"), p_tensor(DType::kI32, {}, "0")}, {p_str("e"), p_list({p_tensor(DType::kU8, {0}, "1")})}}),
      {{"0", le<int32_t>(-9)}, {"1", ""}});
  const ReadFile file(put("x", bytes));
  const TorchFile torch_file = read_torch_file(file, 0, file.size(), {});
  EXPECT_EQ(read_scalar(torch_file, *torch_file.value->get("n"))->integer, -9);
  EXPECT_TRUE(is_tensor(*torch_file.value->get("e")->items[0]));
  EXPECT_FALSE(is_tensor(*torch_file.value));
  EXPECT_NE(input_error([&] { read_scalar(torch_file, *torch_file.value->get("e")->items[0]); }), "");
  EXPECT_NE(input_error([&] { read_scalar(torch_file, *torch_file.value); }), "");
}

TEST_F(TorchZip, DamagedElementsOfValuesAreSeen) {
  const std::string bytes = make_torch_file(*p_tensor(DType::kI32, {}, "0"), {{"0", le<int32_t>(0x41424344)}});
  const std::string bad = replaced(bytes, bytes.find("DCBA"), "X");
  EXPECT_HAS(input_error([&] {
               const ReadFile file(put("x", bad));
               read_torch_file(file, 0, file.size(), {});
             }),
             "CRC-32");
}

TEST_F(TorchZip, EveryTruncationIsAnError) {
  ASSERT_EQ(error(good_), "");
  for (size_t size = 0; size < good_.size(); ++size) ASSERT_NE(error(good_.substr(0, size)), "") << size;
  for (size_t cut = 1; cut < good_.size(); cut += 13) EXPECT_NE(error(good_.substr(cut)), "") << cut;
}

TEST_F(TorchZip, SpansOutsideTheFile) {
  const ReadFile file(put("x", good_));
  EXPECT_NE(input_error([&] { locate_tensor(file, 0, file.size() + 1); }), "");
  EXPECT_NE(input_error([&] { locate_tensor(file, file.size() + 1, 0); }), "");
  EXPECT_NE(input_error([&] { locate_tensor(file, UINT64_MAX, 2); }), "");
  EXPECT_NE(input_error([&] { locate_tensor(file, 8, UINT64_MAX); }), "");
}

TEST_F(TorchZip, EveryByteFlippedIsReadOrRefused) {
  // No flip may crash or point outside; many are harmless (dates, attributes, the elements themselves).
  for (size_t at = 0; at < good_.size(); ++at) {
    for (const char flip : {'\x01', '\x80', '\xFF'}) {
      std::string bad = good_;
      bad[at] = static_cast<char>(bad[at] ^ flip);
      const ReadFile file(put("x", bad));
      try {
        const StoredTensor tensor = locate_tensor(file, 0, file.size());
        ASSERT_LE(tensor.offset + tensor.size, file.size());
      } catch (const Error& e) {
        ASSERT_EQ(e.kind(), ErrorKind::kInput) << at;
      }
    }
  }
}

TEST_F(TorchZip, CompressedEncryptedAndOverlapping) {
  const size_t directory = good_.find("PK\x01\x02");
  const size_t second = good_.find("PK\x01\x02", directory + 4);
  EXPECT_HAS(error(replaced(good_, directory + 10, "\x08")), "compressed");
  EXPECT_HAS(error(replaced(good_, directory + 8, "\x01")), "encrypted");
  EXPECT_HAS(error(replaced(good_, second + 20, le<uint32_t>(25))), "compressed");
  // The second entry claims a size that reaches into the records behind it.
  EXPECT_HAS(error(replaced(replaced(good_, second + 20, le<uint32_t>(100)), second + 24, le<uint32_t>(100))),
             "overlaps");
  EXPECT_HAS(
      error(replaced(replaced(good_, second + 20, le<uint32_t>(0x7FFFFFFF)), second + 24, le<uint32_t>(0x7FFFFFFF))),
      "outside");
  // It claims the header of the first.
  EXPECT_HAS(error(replaced(good_, second + 42, le<uint32_t>(0))), "another name");
  EXPECT_HAS(error(replaced(good_, good_.size() - 12, le<uint16_t>(60000))), "damaged");
  EXPECT_HAS(error(replaced(good_, good_.size() - 6, le<uint32_t>(0xFFFFFF00))), "outside");
  EXPECT_NE(error(replaced(good_, good_.size() - 6, le<uint32_t>(0xFFFFFFFF))), "");
}

TEST_F(TorchZip, PicklesThatLieAboutTheirTensor) {
  const auto with = [&](PicklePtr value, std::string storage) {
    return error(make_torch_file(*value, {{"0", std::move(storage)}}));
  };
  const PicklePtr tensor = p_tensor(DType::kF32, {2, 3}, "0");
  const auto changed = [&](size_t argument, PicklePtr to) {
    PicklePtr copy = p_tensor(DType::kF32, {2, 3}, "0");
    copy->items[0]->items[argument] = std::move(to);
    return with(copy, std::string(24, 'x'));
  };
  EXPECT_EQ(with(tensor, std::string(24, 'x')), "");
  EXPECT_HAS(with(tensor, std::string(23, 'x')), "longer than its storage");
  EXPECT_HAS(changed(1, p_int(1)), "outside its storage");
  EXPECT_NE(changed(1, p_int(-1)), "");
  EXPECT_NE(changed(1, p_int(INT64_MAX)), "");
  EXPECT_HAS(changed(2, p_tuple({p_int(2), p_int(4)})), "not contiguous");
  EXPECT_NE(changed(2, p_tuple({p_int(INT64_MAX), p_int(INT64_MAX)})), "");
  EXPECT_NE(changed(2, p_tuple({p_int(-2), p_int(3)})), "");
  EXPECT_NE(changed(2, p_tuple({p_int(2)})), "");
  EXPECT_HAS(changed(3, p_tuple({p_int(1), p_int(2)})), "not contiguous");
  EXPECT_NE(changed(3, p_str("x")), "");
  EXPECT_NE(changed(0, p_int(0)), "");
  EXPECT_HAS(error(make_torch_file(*p_tensor(DType::kF32, {2, 3}, "1"), {{"0", std::string(24, 'x')}})),
             "no storage '1'");
  EXPECT_NE(with(p_call(p_global("torch._utils", "_rebuild_tensor_v2"), {}), ""), "");
  EXPECT_NE(with(p_int(3), ""), "");
  EXPECT_HAS(with(p_call(p_global("os", "system"), {p_str("id")}), ""), "not allowed");
}

}  // namespace
}  // namespace rialto::formats
