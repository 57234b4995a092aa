import Postgres
import RPC
import Testing
import Wire

@testable import Tracking

/// Page tokens: of listings by identifier, and of histories.
struct PageTests {
  private static let ids = (1...4).map { UUID(high: 9, low: $0) }

  private static func reason<Value>(_ body: () throws(CallError) -> Value) -> String? {
    do {
      _ = try body()
      return nil
    } catch {
      return error.status.reason
    }
  }

  @Test("A page reads one row more than it gives, and has a next page only where there is one")
  func next() throws {
    let page = Page(purpose: "runs a", size: 3)
    #expect(page.rowsToRead == 4)
    #expect(page.next([]).isEmpty)
    #expect(page.next(Array(Self.ids[..<3])).isEmpty)
    let token = page.next(Self.ids)
    #expect(try page.start(token) == Self.ids[2])
    #expect(try page.start("") == nil)
  }

  @Test("A token of another listing is refused")
  func otherListing() {
    let token = Page(purpose: "runs a", size: 3).next(Self.ids)
    #expect(
      Self.reason { () throws(CallError) in try Page(purpose: "runs b", size: 3).start(token) }
        == "PAGE_TOKEN_INVALID")
  }

  @Test("A token with any character changed, left out or added is refused")
  func tampered() {
    let page = Page(purpose: "runs a", size: 3)
    let token = page.next(Self.ids)
    for damaged in Damage.all(of: token) {
      #expect(
        Self.reason { () throws(CallError) in try page.start(damaged) } == "PAGE_TOKEN_INVALID",
        "\(damaged)")
    }
  }

  @Test("A token whose content has another size is refused though its digest is right")
  func size() {
    let token = Token.make([1, 2, 3], for: "runs a")
    #expect(
      Self.reason { () throws(CallError) in try Page(purpose: "runs a", size: 1).start(token) }
        == "PAGE_TOKEN_INVALID")
    #expect(
      Self.reason { () throws(CallError) in try HistoryCursor.read(token, for: "runs a") }
        == "PAGE_TOKEN_INVALID")
  }

  @Test(
    "A history's token says its last point to the bit",
    arguments: [
      MetricPoint(step: 0, timeUs: 0, value: 0),
      MetricPoint(step: .min, timeUs: .max, value: -0.0),
      MetricPoint(step: .max, timeUs: 253_402_300_799_999_999, value: .infinity),
      MetricPoint(step: -1, timeUs: 1, value: Double(nan: 5, signaling: false)),
      MetricPoint(step: 1, timeUs: 1, value: 0.1),
      MetricPoint(step: 1, timeUs: 1, value: 0.1, epoch: 10_000),
    ])
  func cursor(point: MetricPoint) throws {
    let token = HistoryCursor.token(point, for: "history x")
    let read = try #require(try HistoryCursor.read(token, for: "history x"))
    #expect(read.step == point.step && read.timeUs == point.timeUs)
    #expect(read.epoch == point.epoch)
    #expect(read.value.bitPattern == point.value.bitPattern)
    #expect(
      Self.reason { () throws(CallError) in try HistoryCursor.read(token, for: "history y") }
        == "PAGE_TOKEN_INVALID")
  }

  @Test("A history begins at the beginning without a token, and not with a damaged one")
  func cursorDamage() throws {
    #expect(try HistoryCursor.read("", for: "history x") == nil)
    let token = HistoryCursor.token(MetricPoint(step: 1, timeUs: 2, value: 3), for: "history x")
    for damaged in Damage.all(of: token) {
      #expect(
        Self.reason { () throws(CallError) in try HistoryCursor.read(damaged, for: "history x") }
          == "PAGE_TOKEN_INVALID", "\(damaged)")
    }
  }
}

/// Every small damage to a text.
private enum Damage {
  static func all(of text: String) -> [String] {
    var result = [text + "A", text + "=", " " + text, "é"]
    for index in text.indices {
      var changed = text
      changed.replaceSubrange(index...index, with: text[index] == "A" ? "B" : "A")
      result.append(changed)
      if index > text.startIndex { result.append(String(text[..<index])) }
    }
    return result
  }
}
