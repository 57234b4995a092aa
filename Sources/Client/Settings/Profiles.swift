/// How to reach several servers, by names, and which of them is meant when nobody says.
///
/// Members that this version does not know stay as they are.
package struct Profiles: Sendable, Equatable {
  /// The longest name, in bytes.
  package static let nameBytesMax = 64

  /// The whole document.
  private var root: JSONValue

  /// None.
  package init() { root = .object([]) }

  /// What a file holds; an empty one holds no profile.
  ///
  /// - Throws: ``ClientError`` of kind `settings`.
  package init(_ bytes: [UInt8], path: String) throws(ClientError) {
    self.init()
    guard bytes.contains(where: { !" \t\r\n".utf8.contains($0) }) else { return }
    do throws(JSONError) {
      root = try JSONValue.parse(bytes)
    } catch {
      throw .settings("\(path) is not JSON: \(error).")
    }
    guard case .object = root else { throw .settings("\(path) does not hold a JSON object.") }
    guard case .object(let members) = root["profiles"] ?? .object([]) else {
      throw .settings("\(path): profiles must be an object.")
    }
    for member in members {
      guard case .object = member.value else {
        throw .settings("\(path): the profile \(member.key) must be an object.")
      }
    }
    switch root["current"] {
    case nil, .null, .string: break
    default: throw .settings("\(path): current must be a string.")
    }
  }

  /// All names, in alphabetical order.
  package var names: [String] {
    guard case .object(let members) = root["profiles"] else { return [] }
    return members.map(\.key).sorted()
  }

  /// The profile that is meant when nobody names one: the one that was chosen, else `default`.
  package var current: String? {
    get {
      let name = root["current"]?.text ?? "default"
      return self[name] == nil ? nil : name
    }
    set { root.set("current", newValue.map { .string($0) }) }
  }

  /// A profile as it is stored, by the keys of a connection file.
  package subscript(name: String) -> JSONValue? {
    get { root["profiles"]?[name] }
    set {
      var profiles = root["profiles"] ?? .object([])
      profiles.set(name, newValue)
      root.set("profiles", profiles)
    }
  }

  /// The document as it is stored.
  package var text: String { root.pretty + "\n" }

  /// What is wrong with a name; nil when nothing is.
  package static func problem(withName name: String) -> String? {
    let allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-".utf8
    guard name.utf8.allSatisfy(allowed.contains), (1...nameBytesMax).contains(name.utf8.count)
    else {
      return "A profile's name has 1 to \(nameBytesMax) letters, digits, dots, dashes or "
        + "underscores."
    }
    return nil
  }
}

extension JSONValue {
  /// Gives a member of an object a value, or takes it out.
  package mutating func set(_ key: String, _ value: JSONValue?) {
    guard case .object(var members) = self else { return }
    let place = members.firstIndex { $0.key == key }
    switch (place, value) {
    case (let place?, let value?): members[place].value = value
    case (let place?, nil): members.remove(at: place)
    case (nil, let value?): members.append(Member(key, value))
    case (nil, nil): break
    }
    self = .object(members)
  }
}
