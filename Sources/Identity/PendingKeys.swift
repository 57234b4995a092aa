public import Messages
public import RPC

extension IdentityService {
  public func createApiKey(
    _ request: CreateApiKeyRequest, _ call: CallContext
  ) async throws(CallError) -> CreateApiKeyResponse { throw pending(call) }

  public func getApiKey(
    _ request: GetApiKeyRequest, _ call: CallContext
  ) async throws(CallError) -> GetApiKeyResponse { throw pending(call) }

  public func listApiKeys(
    _ request: ListApiKeysRequest, _ call: CallContext
  ) async throws(CallError) -> ListApiKeysResponse { throw pending(call) }

  public func updateApiKey(
    _ request: UpdateApiKeyRequest, _ call: CallContext
  ) async throws(CallError) -> UpdateApiKeyResponse { throw pending(call) }

  public func revokeApiKey(
    _ request: RevokeApiKeyRequest, _ call: CallContext
  ) async throws(CallError) -> RevokeApiKeyResponse { throw pending(call) }

  public func rotateApiKey(
    _ request: RotateApiKeyRequest, _ call: CallContext
  ) async throws(CallError) -> RotateApiKeyResponse { throw pending(call) }
}
