import Messages
import SwiftProtobufMessages

extension Peer {
  static let traces = unsafe [
    Peer(TracePair.self, Needletail_Tracing_V1_TracePair.self),
    Peer(Trace.self, Needletail_Tracing_V1_Trace.self),
    Peer(StartTraceRequest.self, Needletail_Tracing_V1_StartTraceRequest.self),
    Peer(StartTraceResponse.self, Needletail_Tracing_V1_StartTraceResponse.self),
    Peer(GetTracesRequest.self, Needletail_Tracing_V1_GetTracesRequest.self),
    Peer(GetTracesResponse.self, Needletail_Tracing_V1_GetTracesResponse.self),
    Peer(SetTraceTagsRequest.self, Needletail_Tracing_V1_SetTraceTagsRequest.self),
    Peer(SetTraceTagsResponse.self, Needletail_Tracing_V1_SetTraceTagsResponse.self),
    Peer(DeleteTracesRequest.self, Needletail_Tracing_V1_DeleteTracesRequest.self),
    Peer(DeleteTracesResponse.self, Needletail_Tracing_V1_DeleteTracesResponse.self),
    Peer(LinkTracesToRunRequest.self, Needletail_Tracing_V1_LinkTracesToRunRequest.self),
    Peer(LinkTracesToRunResponse.self, Needletail_Tracing_V1_LinkTracesToRunResponse.self),
    Peer(UnlinkTracesFromRunRequest.self, Needletail_Tracing_V1_UnlinkTracesFromRunRequest.self),
    Peer(UnlinkTracesFromRunResponse.self, Needletail_Tracing_V1_UnlinkTracesFromRunResponse.self),
    Peer(SearchTracesRequest.self, Needletail_Tracing_V1_SearchTracesRequest.self),
    Peer(SearchTracesResponse.self, Needletail_Tracing_V1_SearchTracesResponse.self),
    Peer(Span.self, Needletail_Tracing_V1_Span.self),
    Peer(TraceSpans.self, Needletail_Tracing_V1_TraceSpans.self),
    Peer(LogSpansRequest.self, Needletail_Tracing_V1_LogSpansRequest.self),
    Peer(LogSpansResponse.self, Needletail_Tracing_V1_LogSpansResponse.self),
    Peer(ListSpansRequest.self, Needletail_Tracing_V1_ListSpansRequest.self),
    Peer(TraceSpan.self, Needletail_Tracing_V1_TraceSpan.self),
    Peer(ListSpansResponse.self, Needletail_Tracing_V1_ListSpansResponse.self),
    Peer(Assessment.self, Needletail_Tracing_V1_Assessment.self),
    Peer(CreateAssessmentRequest.self, Needletail_Tracing_V1_CreateAssessmentRequest.self),
    Peer(CreateAssessmentResponse.self, Needletail_Tracing_V1_CreateAssessmentResponse.self),
    Peer(GetAssessmentRequest.self, Needletail_Tracing_V1_GetAssessmentRequest.self),
    Peer(GetAssessmentResponse.self, Needletail_Tracing_V1_GetAssessmentResponse.self),
    Peer(UpdateAssessmentRequest.self, Needletail_Tracing_V1_UpdateAssessmentRequest.self),
    Peer(UpdateAssessmentResponse.self, Needletail_Tracing_V1_UpdateAssessmentResponse.self),
    Peer(DeleteAssessmentRequest.self, Needletail_Tracing_V1_DeleteAssessmentRequest.self),
    Peer(DeleteAssessmentResponse.self, Needletail_Tracing_V1_DeleteAssessmentResponse.self),
  ]
}
