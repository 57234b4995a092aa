import Postgres
import Testing

@Suite struct UUIDTests {
  @Test(
    "Only the form 8-4-4-4-12 of hexadecimal digits is an identifier",
    arguments: [
      "", "018f0000-0000-7000-8000-00000000000", "018f0000-0000-7000-8000-0000000000011",
      "018f00000000700080000000000000010000", "{18f0000-0000-7000-8000-000000000001}",
      "018f0000-0000-7000-8000-00000000000g", "018f00000-000-7000-8000-000000000001",
      "018f0000 0000-7000-8000-000000000001", "０18f0000-0000-7000-8000-0000000001",
    ])
  func refused(text: String) {
    #expect(UUID(text) == nil)
  }

  @Test("Text and bytes come back as they were, digits in lower case")
  func roundTrip() throws {
    let text = "018F0abc-DEF0-7fff-bFFF-0123456789aB"
    let id = try #require(UUID(text))
    #expect(id.description == text.lowercased())
    #expect(UUID(id.description) == id)
    #expect(UUID(bytes: id.bytes) == id)
    #expect(id.high == 0x018F_0ABC_DEF0_7FFF && id.low == 0xBFFF_0123_4567_89AB)
    #expect(UUID(bytes: [1, 2, 3]) == nil)
  }

  @Test("Identifiers grow, while the clock goes on, stands still and goes back")
  func monotonic() {
    var generator = UUIDGenerator()
    let start: Int64 = 1_700_000_000_123_456
    var clock: [Int64] = []
    clock += (0..<500).map { start + $0 * 7 }
    clock += Array(repeating: start, count: 5_000)
    clock += [start - 3_600_000_000, start + 10_000_000]
    let made = clock.map { UUID.v7(now: $0, &generator) }
    for (before, after) in zip(made, made.dropFirst()) {
      #expect(before < after)
      #expect(before.description < after.description)
    }
    #expect(made[0].high >> 16 == 1_700_000_000_123)
    #expect(made.allSatisfy { $0.high >> 12 & 15 == 7 && $0.low >> 62 == 2 })
    #expect(Set(made.map(\.low)).count == made.count)
  }
}
