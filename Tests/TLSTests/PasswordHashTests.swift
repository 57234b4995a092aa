import TLS
import Testing

@Suite("Passwords as they are stored")
struct PasswordHashTests {
  private static let cost = 12

  @Test(
    "A password matches its own stored form and no other password does",
    arguments: ["correct horse", "", "\u{e9}\u{1F600}", String(repeating: "x", count: 1_024)])
  func roundTrip(password: String) throws {
    let made = try #require(PasswordHash(password, cost: Self.cost))
    let read = try #require(PasswordHash(stored: made.stored))
    #expect(read == made && read.cost == Self.cost)
    #expect(read.matches(password) == true)
    #expect(read.matches(password + "x") == false)
    #expect(read.matches("another") == false)
  }

  @Test("The same password is stored differently each time, over a salt of its own")
  func salts() throws {
    let made = try (0..<3).map { _ in try #require(PasswordHash("same", cost: Self.cost)).stored }
    #expect(Set(made).count == 3)
  }

  @Test("What another implementation made is read")
  func known() throws {
    // By Python's hashlib, over the salt "SodiumChlorideXX".
    let text =
      "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGVYWA$qoO5uPmn1ZlMEv/5LVYAy23giCraB+wz6S8naTjrRmU"
    let hash = try #require(PasswordHash(stored: text))
    #expect(hash.matches("pleaseletmein") == true)
    #expect(hash.matches("pleaseletmeIn") == false)
  }

  @Test("No password matches the impossible one")
  func impossible() {
    let hash = PasswordHash.impossible(cost: Self.cost)
    #expect(hash.matches("") == false && hash.matches("password") == false)
    #expect(hash.cost == Self.cost)
  }

  @Test(
    "A text that is not the stored form is not read",
    arguments: [
      "", "$", "plain", "$scrypt$ln=12,r=8,p=1$", "$scrypt$ln=12,r=8,p=1$AAAA$AAAA",
      "$bcrypt$ln=12,r=8,p=1$SALT$HASH", "$scrypt$ln=11,r=8,p=1$SALT$HASH",
      "$scrypt$ln=21,r=8,p=1$SALT$HASH", "$scrypt$ln=,r=8,p=1$SALT$HASH",
      "$scrypt$ln=12,r=9,p=1$SALT$HASH", "$scrypt$ln=12,r=8,p=2$SALT$HASH",
      "$scrypt$ln=12,r=8,p=1$SALT$HASH$", "x$scrypt$ln=12,r=8,p=1$SALT$HASH",
      "$scrypt$ln=12,r=8,p=1$SAL=$HASH", "$scrypt$ln=12,r=8,p=1$SALT$HASHA",
      "$scrypt$ln=-12,r=8,p=1$SALT$HASH", "$scrypt$ln=99999999999999999999,r=8,p=1$SALT$HASH",
    ])
  func malformed(text: String) throws {
    let made = try #require(PasswordHash("x", cost: Self.cost)).stored.split(separator: "$")
    let whole = text.replacing("SALT", with: made[2]).replacing("HASH", with: made[3])
    #expect(PasswordHash(stored: whole) == nil)
  }

  @Test("The bounds of the cost are those that memory and guessing set")
  func costs() throws {
    #expect(PasswordHash.costs == 12...20)
    for cost in [12, 13] {
      let hash = try #require(PasswordHash("x", cost: cost))
      #expect(hash.stored.hasPrefix("$scrypt$ln=\(cost),r=8,p=1$"))
    }
  }
}
