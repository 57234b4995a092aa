internal import Messages
internal import RPC

/// The answer of a method that is not built yet.
func pending(_ call: CallContext) -> CallError {
  CallError(RpcErrorReason.methodUnknown, "\(call.method.name) is not built yet.")
}
