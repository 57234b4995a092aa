import Testing

@testable import Identity

/// The text of invitations' tokens.
struct InvitationTokenTests {
  @Test("A token is read as it was made, and no two are alike")
  func roundTrip() throws {
    let tokens = (0..<100).map { _ in InvitationToken.random() }
    for token in tokens {
      #expect(token.text.hasPrefix("nti_"))
      #expect(token.text.utf8.count == 53)
      let read = try #require(InvitationToken(token.text))
      #expect(read.hash == token.hash)
      #expect(token.hash.count == 32)
    }
    #expect(Set(tokens.map(\.text)).count == tokens.count)
  }

  @Test("A token with any character changed, missing or added is none")
  func typingErrors() {
    let text = InvitationToken.random().text
    for index in text.indices {
      var changed = text
      changed.replaceSubrange(index...index, with: text[index] == "A" ? "B" : "A")
      #expect(InvitationToken(changed) == nil, "\(changed)")
      var shorter = text
      shorter.remove(at: index)
      #expect(InvitationToken(shorter) == nil, "\(shorter)")
    }
    for other in ["", "nti_", text + "0", " " + text, text.uppercased(), APIKey.random().text] {
      #expect(InvitationToken(other) == nil, "\(other)")
    }
  }

  @Test("An API key is no token, and a token no API key")
  func kinds() {
    #expect(APIKey(InvitationToken.random().text) == nil)
    #expect(InvitationToken(APIKey.random().text) == nil)
  }
}
