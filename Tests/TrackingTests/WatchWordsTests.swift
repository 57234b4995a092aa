import Testing

@testable import Tracking

@Suite struct WatchWordsTests {
  @Test(
    "A snapshot is what PostgreSQL reads as one",
    arguments: ["1:1:", "10:20:", "10:20:10,14,15", "10:20:10,10", "1:18446744073709551615:"])
  func snapshot(text: String) {
    #expect(SnapshotText.isValid(text))
  }

  @Test(
    "No other text is a snapshot",
    arguments: [
      "", ":", "::", "x", "0:1:", "5:3:", "1:1", "1:1::", "1:1:1", "10:20:9", "10:20:20",
      "10:20:15,14", "10:20:,", "10:20:10,", "+1:1:", "1:-1:", "1:18446744073709551616:", "1:1:\0",
    ])
  func noSnapshot(text: String) {
    #expect(!SnapshotText.isValid(text))
  }

  @Test("A word of a place has the form of its kind")
  func words() {
    let id = "0190c6f2-3a5e-7c1d-9f10-2b6c1d3e4f50"
    for (kind, good) in [(WatchWord.transaction, "7"), (.id, id), (.number, "12")] {
      #expect(kind.accepts(good))
      for bad in ["", "-1", "x", "7 ", "0x7"] { #expect(!kind.accepts(bad)) }
    }
    #expect(!WatchWord.transaction.accepts(id))
    #expect(!WatchWord.id.accepts("7"))
  }
}
