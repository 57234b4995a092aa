public import Messages
public import RPC

extension IdentityService {
  /// Not there yet.
  public func login(
    _ request: LoginRequest, _ call: CallContext
  ) async throws(CallError) -> LoginResponse {
    throw CallError(RpcErrorReason.methodUnknown, "Login is not there yet.")
  }

  /// Not there yet.
  public func getUser(
    _ request: GetUserRequest, _ call: CallContext
  ) async throws(CallError) -> GetUserResponse {
    throw CallError(RpcErrorReason.methodUnknown, "GetUser is not there yet.")
  }

  /// Not there yet.
  public func updateUser(
    _ request: UpdateUserRequest, _ call: CallContext
  ) async throws(CallError) -> UpdateUserResponse {
    throw CallError(RpcErrorReason.methodUnknown, "UpdateUser is not there yet.")
  }

  /// Not there yet.
  public func changePassword(
    _ request: ChangePasswordRequest, _ call: CallContext
  ) async throws(CallError) -> ChangePasswordResponse {
    throw CallError(RpcErrorReason.methodUnknown, "ChangePassword is not there yet.")
  }

  /// Not there yet.
  public func deleteUser(
    _ request: DeleteUserRequest, _ call: CallContext
  ) async throws(CallError) -> DeleteUserResponse {
    throw CallError(RpcErrorReason.methodUnknown, "DeleteUser is not there yet.")
  }

  /// Not there yet.
  public func undeleteUser(
    _ request: UndeleteUserRequest, _ call: CallContext
  ) async throws(CallError) -> UndeleteUserResponse {
    throw CallError(RpcErrorReason.methodUnknown, "UndeleteUser is not there yet.")
  }
}
