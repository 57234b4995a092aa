import Testing

@testable import Tracking

@Suite("The path of a run's file")
struct ArtifactPathTests {
  @Test(
    "A path is names between slashes",
    arguments: [
      "a", "model/weights.bin", "a b/ü/日本", "..a/b..", "...", String(repeating: "x", count: 1_024),
    ])
  func takes(_ path: String) {
    #expect(ArtifactPath.problem(path) == nil)
  }

  @Test(
    "Anything else is refused",
    arguments: [
      "", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a/.", "a\nb", "a\u{7F}", "a\u{85}",
      String(repeating: "x", count: 1_025), String(repeating: "x", count: 5_000),
    ])
  func refuses(_ path: String) {
    #expect(ArtifactPath.problem(path) != nil)
  }

  @Test("The folders of a file are its path up to each slash")
  func findsFolders() {
    #expect(ArtifactPath.folders(of: "a/b/c").elementsEqual(["a", "a/b"]))
    #expect(ArtifactPath.folders(of: "a").isEmpty)
  }

  @Test("A folder's bounds hold what is in it, and not its neighbors")
  func boundsFolders() {
    let (first, end) = ArtifactPath.bounds(ofFolder: "a")
    for path in ["a/ ", "a/b", "a/\u{10FFFF}"] { #expect(path >= first && path < end) }
    for path in ["a", "a.txt", "a0", "b"] { #expect(path < first || path >= end) }
  }
}
