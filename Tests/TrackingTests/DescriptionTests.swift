import Messages
import Postgres
import RPC
import Testing

@testable import Tracking

/// Tags and parameters, what is asked for against what is there.
struct DescriptionTests {
  private static func description(_ pairs: (String, String)...) -> Description {
    Description(keys: pairs.map(\.0), values: pairs.map(\.1))
  }

  @Test("Only what differs is written, and only what is there is removed")
  func change() {
    let change = DescriptionChange(
      set: Self.description(("same", "1"), ("other", "2"), ("new", "3")),
      delete: ["gone", "never there"],
      before: Self.description(("same", "1"), ("other", "1"), ("gone", "1")))
    #expect(change.added.keys == ["new"])
    #expect(change.added.values == ["3"])
    #expect(change.replaced.keys == ["other"])
    #expect(change.replaced.values == ["2"])
    #expect(change.removed == ["gone"])
    #expect(change.growth == 0)
  }

  @Test("Texts are compared by their bytes")
  func bytes() {
    let (composed, decomposed) = ("\u{E9}", "e\u{301}")
    #expect(composed == decomposed)
    let change = DescriptionChange(
      set: Self.description((composed, decomposed), (decomposed, "")),
      before: Self.description((composed, composed)))
    #expect(change.replaced.keys == [composed])
    #expect(change.added.keys.count == 1)
  }

  @Test("The audit log names a bounded number of keys, with the beginnings of their values")
  func audited() {
    let keys = (0..<150).map { "k\($0)" }
    let long = String(repeating: "x", count: 201)
    let change = DescriptionChange(
      set: Description(keys: keys, values: keys.map { _ in long }),
      before: Self.description(("k0", "before")))
    let (before, after) = change.audited("tags")
    #expect(before.map(\.0) == ["tags.k0"])
    #expect(after.count == 101)
    #expect(after[0].1 == String(repeating: "x", count: 200) + "… (201 bytes)")
    #expect(after[100].0 == "tags_changed")
    #expect(after[100].1 == "150")
  }

  @Test("A page ends where its rows or their bytes are at their bound")
  func page() throws {
    let page = KeyPage(purpose: "test", size: 2)
    #expect(try page.start("") == "")
    #expect(page.next([]) == "")
    #expect(page.next([("a", "1"), ("b", "2")]) == "")
    #expect(try page.start(page.next([("a", "1"), ("b", "2"), ("c", "3")])) == "b")
    let long = String(repeating: "x", count: DescriptionBounds.pageBytesMax)
    #expect(try page.start(page.next([("a", long)])) == "a")
    #expect(throws: CallError.self) { try KeyPage(purpose: "other", size: 2).start("AAAA") }
  }

  @Test("A source comes back as it was stored, and one that says nothing is none")
  func source() {
    let source = RunSource(
      entryPoint: "train.py", gitCommit: "c0ffee", gitRepository: "r", gitBranch: "main",
      gitDirty: true, codeDigest: "00", host: "\"h\"", processNumber: 7)
    #expect(SourceText.stored(source) != nil)
    #expect(SourceText.stored(RunSource()) == nil)
    #expect(SourceText.json(RunSource()) == "{}")
    #expect(SourceText.json(source).contains(#""host":"\"h\"""#))
    #expect(
      SourceText.source(["train.py", "c0ffee", "r", "main", "true", "00", "\"h\"", "7"])
        == source)
    #expect(SourceText.source(nil) == nil)
  }
}
