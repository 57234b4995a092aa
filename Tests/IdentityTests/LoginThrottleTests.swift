import EventLoop
import RPC
import Testing

@testable import Identity

@Suite("The throttle of wrong passwords")
struct LoginThrottleTests {
  private static let minute: UInt64 = 60_000_000_000
  private static let home = AddressBlock(SocketAddress(host: "10.0.0.1", port: 1))
  private static let away = AddressBlock(SocketAddress(host: "10.0.0.2", port: 1))

  @Test("Ten attempts at an account are counted from their beginning, from wherever they come")
  func account() {
    let throttle = LoginThrottle(PasswordSettings())
    for number in 0..<10 {
      let block = number % 2 == 0 ? Self.home : Self.away
      #expect(throttle.begin("ada@example.com", from: block, now: 1) == nil)
    }
    #expect(throttle.begin("ada@example.com", from: Self.away, now: 1) == Self.minute * 3 / 2)
    #expect(throttle.begin("eve@example.com", from: Self.home, now: 1) == nil)
    #expect(throttle.begin("ada@example.com", from: Self.home, now: 1 + Self.minute * 3 / 2) == nil)
    #expect(throttle.begin("ada@example.com", from: Self.home, now: 1 + Self.minute * 3 / 2) != nil)
  }

  @Test("A right password forgives its account all, and its address one attempt")
  func success() {
    var settings = PasswordSettings()
    settings.wrongPerAddressMax = 12
    let throttle = LoginThrottle(settings)
    for _ in 0..<10 { #expect(throttle.begin("ada", from: Self.home, now: 1) == nil) }
    throttle.succeeded("ada", from: Self.home)
    for _ in 0..<3 { #expect(throttle.begin("ada", from: Self.home, now: 1) == nil) }
    #expect(throttle.begin("eve", from: Self.home, now: 1) != nil)
    #expect(throttle.wait(for: Self.home, now: 1) != nil)
    #expect(throttle.wait(for: Self.away, now: 1) == nil)
  }

  @Test("An attempt whose password was not looked at does not count")
  func takeBack() {
    let throttle = LoginThrottle(PasswordSettings())
    for _ in 0..<100 {
      #expect(throttle.begin("ada", from: Self.home, now: 1) == nil)
      throttle.takeBack("ada", from: Self.home)
    }
  }

  @Test("What is refused is not counted: who goes on waits no longer than before")
  func refused() {
    let throttle = LoginThrottle(PasswordSettings())
    for _ in 0..<10_000 { _ = throttle.begin("ada", from: Self.home, now: 1) }
    #expect(throttle.begin("ada", from: Self.home, now: 1) == Self.minute * 3 / 2)
    #expect(throttle.begin("eve", from: Self.home, now: 1) == nil)
  }
}
