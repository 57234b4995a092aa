public import Messages
public import RPC

extension IdentityService {
  public func getOrganization(
    _ request: GetOrganizationRequest, _ call: CallContext
  ) async throws(CallError) -> GetOrganizationResponse { throw pending(call) }

  public func updateOrganization(
    _ request: UpdateOrganizationRequest, _ call: CallContext
  ) async throws(CallError) -> UpdateOrganizationResponse { throw pending(call) }

  public func getMember(
    _ request: GetMemberRequest, _ call: CallContext
  ) async throws(CallError) -> GetMemberResponse { throw pending(call) }

  public func listMembers(
    _ request: ListMembersRequest, _ call: CallContext
  ) async throws(CallError) -> ListMembersResponse { throw pending(call) }

  public func updateMember(
    _ request: UpdateMemberRequest, _ call: CallContext
  ) async throws(CallError) -> UpdateMemberResponse { throw pending(call) }

  public func removeMember(
    _ request: RemoveMemberRequest, _ call: CallContext
  ) async throws(CallError) -> RemoveMemberResponse { throw pending(call) }

  public func deactivateMember(
    _ request: DeactivateMemberRequest, _ call: CallContext
  ) async throws(CallError) -> DeactivateMemberResponse { throw pending(call) }

  public func reactivateMember(
    _ request: ReactivateMemberRequest, _ call: CallContext
  ) async throws(CallError) -> ReactivateMemberResponse { throw pending(call) }

  public func createServiceAccount(
    _ request: CreateServiceAccountRequest, _ call: CallContext
  ) async throws(CallError) -> CreateServiceAccountResponse { throw pending(call) }

  public func getServiceAccount(
    _ request: GetServiceAccountRequest, _ call: CallContext
  ) async throws(CallError) -> GetServiceAccountResponse { throw pending(call) }

  public func listServiceAccounts(
    _ request: ListServiceAccountsRequest, _ call: CallContext
  ) async throws(CallError) -> ListServiceAccountsResponse { throw pending(call) }

  public func updateServiceAccount(
    _ request: UpdateServiceAccountRequest, _ call: CallContext
  ) async throws(CallError) -> UpdateServiceAccountResponse { throw pending(call) }

  public func deleteServiceAccount(
    _ request: DeleteServiceAccountRequest, _ call: CallContext
  ) async throws(CallError) -> DeleteServiceAccountResponse { throw pending(call) }
}
