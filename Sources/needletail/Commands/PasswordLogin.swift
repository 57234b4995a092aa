internal import Client
internal import Messages

/// What is asked for at a login, but for the password.
struct PasswordLogin: Sendable {
  /// In any case.
  var email: String
  /// The organization's slug; empty where the person belongs to one only.
  var organization = ""
  /// What the key is called; empty = "login".
  var keyName = ""
  /// How long the key works; nil = as the server says.
  var expiresIn: Duration?

  /// Gets a key for a password, on a connection of its own that has none.
  ///
  /// - Throws: ``ClientError``, with the reason CREDENTIALS_INVALID, LOGIN_THROTTLED or
  ///   ORGANIZATION_NEEDED where the server says so.
  func run(
    _ password: String, at endpoint: Endpoint, _ options: CallOptions
  ) async throws(ClientError) -> LoginResponse {
    var endpoint = endpoint
    endpoint.apiKey = ""
    let connection = try Connection(to: endpoint)
    var request = LoginRequest()
    request.email = email
    request.password = password
    request.organization = organization
    request.keyName = keyName
    if let expiresIn {
      request.expiresInSeconds = UInt32(clamping: max(1, expiresIn.components.seconds))
    }
    do throws(ClientError) {
      _ = try await connection.open()
      let answer: LoginResponse = try await connection.unary(
        IdentityMethods.login, request, options)
      await connection.close()
      return answer
    } catch {
      await connection.close()
      throw error
    }
  }
}
