import Testing

@testable import Registry

/// What a semantic version is.
struct SemanticVersionTests {
  @Test(
    "A semantic version has three plain numbers, and may have identifiers behind them",
    arguments: [
      "0.0.0", "1.2.3", "10.20.30", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-0.3.7", "1.0.0-x-y.z",
      "1.0.0+20130313", "1.0.0-beta+exp.sha.05114f85", "1.0.0+001",
    ])
  func valid(_ text: String) {
    #expect(SemanticVersion.isValid(text))
  }

  @Test(
    "What is not one is refused",
    arguments: [
      "", "1", "1.2", "1.2.3.4", "01.2.3", "1.02.3", "1.2.3-", "1.2.3+", "1.2.3-a..b", "1.2.3-01",
      "v1.2.3", "1.2.3-ä", "1.2.x", " 1.2.3", "-1.2.3", "1.2.3+a+b", "1.٢.3",
    ])
  func invalid(_ text: String) {
    #expect(!SemanticVersion.isValid(text))
  }
}
