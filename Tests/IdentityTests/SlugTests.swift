import RPC
import Testing

@testable import Identity

/// The slugs that names become.
struct SlugTests {
  private static func isGood(_ slug: String) -> Bool {
    var validator = Validator()
    Slug.check(slug, &validator)
    do throws(CallError) {
      try validator.finish()
      return true
    } catch {
      return false
    }
  }

  @Test(
    "A slug keeps a name's letters and digits, in lower case, with dashes between",
    arguments: [
      ("Vision", "vision"), ("Vision & Speech", "vision-speech"), ("  a  ", "a"),
      ("--a--b--", "a-b"), ("GPT_4.1 (new)", "gpt-4-1-new"), ("Zürich", "z-rich"),
      ("日本", ""), ("", ""), ("!", ""), ("0", "0"), ("x\u{0}y", "x-y"),
      (String(repeating: "a", count: 101), String(repeating: "a", count: 100)),
      (String(repeating: "a", count: 99) + " b", String(repeating: "a", count: 99)),
    ])
  func made(name: String, slug: String) {
    #expect(Slug.made(of: name) == slug)
    #expect(slug.isEmpty || Self.isGood(slug))
  }

  @Test("A slug that somebody could take for an identifier is refused")
  func identifier() {
    let id = "0190c6f2-3a5e-7c1d-9f10-2b6c1d3e4f50"
    #expect(!Self.isGood(id))
    #expect(Self.isGood(id + "0"))
    #expect(Self.isGood(String(id.dropLast())))
    #expect(!Self.isGood(""))
    #expect(!Self.isGood("A"))
  }
}
