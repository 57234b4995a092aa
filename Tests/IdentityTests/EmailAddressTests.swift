import Testing

@testable import Identity

/// The form of e-mail addresses.
struct EmailAddressTests {
  @Test(
    "An address is a name and a domain in any script",
    arguments: [
      "a@b", "ada@example.com", "ada+lists@example.co.uk", "\u{e9}va@b\u{fc}cher.example",
      "\u{5d0}\u{5d3}\u{5d4}@example.com", "\u{928}\u{92e}\u{938}\u{94d}\u{924}\u{947}@example.com",
      "o'hara@example.com", "\"ada\"@example.com",
    ])
  func good(text: String) {
    #expect(EmailAddress.isOne(text))
  }

  @Test(
    "What has no name, no domain or an empty part of one is none",
    arguments: ["", "@", "a@", "@b", "a", "a@b@c", "a@b..c", "a@.b", "a@b.", "a\u{ff20}b"])
  func bad(text: String) {
    #expect(!EmailAddress.isOne(text))
  }

  @Test(
    "What nobody sees, and what turns the writing around, is in no address",
    arguments: [
      "\u{20}", "\u{a0}", "\u{ad}", "\u{61c}", "\u{200b}", "\u{200d}", "\u{2028}", "\u{202e}",
      "\u{2066}", "\u{3000}", "\u{feff}", "\u{e000}", "\u{ffff}", "\u{0}", "\t", "\u{85}",
    ])
  func unseen(text: String) {
    #expect(!EmailAddress.isOne("a\(text)da@example.com"))
    #expect(!EmailAddress.isOne("ada@exa\(text)mple.com"))
  }

  @Test("Two addresses are the same byte for byte, not by how they look")
  func same() {
    #expect("\u{e9}@b".isSameAddress(as: "\u{e9}@b"))
    #expect(!"\u{e9}@b".isSameAddress(as: "e\u{301}@b"))
    #expect("\u{e9}@b" == "e\u{301}@b")
  }
}
