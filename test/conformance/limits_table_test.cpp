// Every flag of app/README.md has a test over a real socket and a whole broker that
// shows what happens on both sides of it, or a reason why it is no limit.

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "app/config.hpp"

using namespace greenroom;

namespace {

/// Suite.Name. At least one of each flag is a test of a whole broker; those in test/unit
/// are named beside them for what they show more closely.
const std::multimap<std::string, std::string> shown_by = {
  {"room", "DocsTest.TheTablesOfFlagsAreThoseOfTheCode"},
  {"room", "RoomLimitTest.MembersAreBoundedAndComeFree"},
  {"rooms-on-demand", "RoomLimitTest.ARoomNobodyNamedIsUnknown"},
  {"rooms-max", "RoomLimitTest.RoomsAreBoundedAndGoWithTheirLastMember"},
  {"rooms-per-connection", "RoomLimitTest.AConnectionIsInSoManyRooms"},
  {"room-name-max", "RoomLimitTest.ANameHas255BytesAfterOneDecoding"},
  {"room-members", "RoomLimitTest.MembersAreBoundedAndComeFree"},
  {"room-publish", "RoomLimitTest.WhoMayOnlyListenIsToldSoInItsDialect"},
  {"room-echo", "RoomLimitTest.EchoIsAsTheFlagTheRoomAndTheClientSay"},
  {"room-raw", "RoomLimitTest.RawClientsMayDoWhatTheRoomSays"},
  {"room-overflow", "OutboundLimitTest.ARoomSaysWhatBecomesOfWhoDoesNotKeepUp"},
  {"room-write-delay", "OutboundLimitTest.ARoomSendsWhatItHasWhenItIsEnough"},
  {"bind", "ListeningLimitTest.OnlyTheBoundAddressAnswers"},
  {"bind", "ListenerTest.EveryAddressIsIPv4AsWell"},
  {"port", "ListeningLimitTest.ATakenPortIsNotShared"},
  {"port", "BinaryTest.ATakenPortIsOneLineAndStatusOne"},
  {"origin", "TrustTest.ForeignPagesMayNotConnect"},
  {"origin", "TrustTest.AForeignNameOfThisMachineIsNotItsOwn"},
  {"trusted-proxy", "TrustTest.ATrustedProxySaysWhoTheClientIs"},
  {"trusted-proxy", "HttpSessionTest.ClientsBehindAProxyAreCountedOneByOne"},
  {"threads", "ListeningLimitTest.RoomsAndConnectionsShareSoManyThreads"},
  {"threads", "OrderTest.AJoinerAmidTrafficSeesASuffixWithoutAHole"},
  {"io-uring", "IoUringTest.WhereTheKernelPermitsItTheBrokerSendsWithIt"},
  {"io-uring", "IoUringTest.WhoeverDoesNotWantItGetsTheSameWithout"},
  {"accept-backoff", "SystemLimitTest.WithoutDescriptorsItWaitsAndComesBack"},
  {"accept-backoff", "ListenerTest.WithoutDescriptorsItPausesAndDoesNotSpin"},
  {"connections-max", "ConnectionLimitTest.SocketsInAllAreBoundedAndComeFree"},
  {"connections-max", "ListenerTest.AFullHouseStillSaysThatItLives"},
  {"connections-per-address",
   "ConnectionLimitTest.SocketsOfOneAddressAreBoundedAndComeFree"},
  {"handshake-timeout", "ConnectionLimitTest.AHandshakeHasToComeInTime"},
  {"handshake-timeout", "SlowlorisTest.HeadsThatTrickleInAreRefusedInTime"},
  {"anonymous", "ConnectionLimitTest.StrangersMayBeKeptOut"},
  {"greeting-timeout", "ConnectionLimitTest.AClientHasToGreetInTime"},
  {"ping-every", "ConnectionLimitTest.PingsKeepAliveWhoAnswersThem"},
  {"pong-timeout", "ConnectionLimitTest.APingOfTheDialectHasToBeAnswered"},
  {"idle-timeout", "ConnectionLimitTest.PingsKeepAliveWhoAnswersThem"},
  {"write-timeout",
   "OutboundLimitTest.AMemberThatTakesNothingForSoLongIsEnded"},
  {"write-timeout", "OutboundLimitTest.AMemberThatTakesALittleAtATimeStays"},
  {"goodbye-timeout", "BrokersGoodbyeTest.WhoDoesNotAnswerIsCutOff"},
  {"goodbye-timeout",
   "SlowMemberDeadlineTest.TheSlowOneIsResetWhenItNeverReadsAgain"},
  {"message-max", "MessageLimitTest.AMessageHas64KiB"},
  {"messages-per-second",
   "MessageLimitTest.MessagesASecondAndTheirBurstAreBounded"},
  {"bytes-per-second", "MessageLimitTest.BytesASecondAreBounded"},
  {"burst-seconds", "MessageLimitTest.MessagesASecondAndTheirBurstAreBounded"},
  {"posts-max", "MessageLimitTest.AClientIsReadAsFarAsItsWindowsReach"},
  {"posts-max", "ReaderTest.AClientCannotRunAheadOfItsRoom"},
  {"posts-bytes-max", "MessageLimitTest.AClientIsReadAsFarAsItsWindowsReach"},
  {"posts-bytes-max", "ReaderTest.AClientCannotRunAheadOfItsRoomInBytesEither"},
  {"inbound-messages-max",
   "MessageLimitTest.AClientIsReadAsFarAsItsWindowsReach"},
  {"inbound-messages-max", "WsSessionTest.ReadingPausesUntilMessagesWereTaken"},
  {"inbound-bytes-max", "MessageLimitTest.AClientIsReadAsFarAsItsWindowsReach"},
  {"inbound-bytes-max", "WsSessionTest.TheWindowCountsBytesToo"},
  {"control-max", "FloodTest.PingsOfAClientThatNeverReadsStayOutside"},
  {"control-max", "ControlTest.ThousandsOfPingsAreAnsweredInTheirOrder"},
  {"member-outbound-max",
   "SlowMemberTest.TheOthersLoseNothingAndMemoryStaysWithinTheLimit"},
  {"process-outbound-max",
   "OutboundLimitTest.TheWholeProcessHasALimitAndWhoLagsPays"},
  {"lagging-min", "OutboundLimitTest.TheWholeProcessHasALimitAndWhoLagsPays"},
  {"lagging-min", "OutboundLimitTest.WhoLagsByLessThanThatStaysInAFullProcess"},
  {"burst-patience",
   "BurstLimitTest.ARoomWaitsForMembersAsLongAsItHasPatience"},
  {"burst-patience", "DeliveryTest.ABurstOfBigMessagesEndsNobodyWhoReads"},
  {"send-buffer", "SendBufferLimitTest.TheKernelTakesSoMuchOfWhatWaits"},
  {"send-buffer", "ListenerTest.ConnectionsAreMadeForSmallFrames"},
  {"turn-bytes-max", "OutboundLimitTest.ARoomSendsWhatItHasWhenItIsEnough"},
  {"turn-messages-max", "OutboundLimitTest.ARoomSendsWhatItHasWhenItIsEnough"},
  {"deflate", "DeflateTest.RoomsCompressOnlyWhereTheySaySo"},
  {"deflate-level", "DeflateLimitTest.AHigherLevelMakesItSmaller"},
  {"deflate-level", "DeflaterTest.EveryLevelAndSizeSurvives"},
  {"deflate-min", "DeflateLimitTest.SmallerMessagesStayPlain"},
  {"deflate-min", "DeflaterTest.SmallMessagesStayPlainAmongOthers"},
  {"deflate-window", "DeflateLimitTest.NothingRefersBackFurtherThanTheWindow"},
  {"deflate-window", "DeflaterTest.TheWindowIsKept"},
  {"deflate-window", "DeflateOfferTest.S7121_ASmallerWindowOfOursIsAnnounced"},
  {"deflate-client-context", "DeflateTest.ClientsMayReferToEarlierMessages"},
  {"deflate-client-window",
   "DeflateLimitTest.ClientsKeepToTheWindowTheyAreAskedFor"},
  {"deflate-client-window", "DeflateMemoryTest.AConnectionCostsItsWindow"},
  {"deflate-require-window",
   "DeflateTest.ClientsWithoutASmallerWindowMayBeDeclined"},
  {"header-max", "HttpLimitTest.AHeadHasSoManyBytes"},
  {"keep-alive-timeout", "HttpLimitTest.OnlySoManyConnectionsAreKept"},
  {"keep-alive-max", "HttpLimitTest.OnlySoManyConnectionsAreKept"},
  {"pipelined-max",
   "HttpLimitTest.PipelinedRequestsAreAllAnsweredInTheirOrder"},
  {"pipelined-max", "HttpSessionTest.AClientThatDoesNotReadIsNotReadEither"},
  {"room-crashes-max", "CrashTest.ARoomThatCrashesAgainAndAgainIsQuarantined"},
  {"crashes-max", "CrashTest.CrashesOfManyRoomsEndTheBroker"},
  {"crash-window", "SystemLimitTest.OnlyCrashesWithinTheWindowAreCounted"},
  {"drain-timeout", "SystemLimitTest.ADrainThatTakesTooLongIsCutOff"},
  {"drain-timeout", "SystemLimitTest.ADrainThatIsDoneInTimeIsNotCutOff"},
  {"drain-slice", "SystemLimitTest.GoodbyesAreSaidInSlices"},
  {"audit-every", "AuditLimitTest.WhatDoesNotAgreeIsFoundWithinThePeriod"},
  {"audit-every", "AuditTest.AForgottenMemberIsFoundWithinThePeriod"},
  {"ends-max", "OrderLimitTest.SoManyMayBeUnderWay"},
  {"ends-max", "ReaperTest.OrdersUnderWayAreBounded"},
  {"end-deadline", "OrderLimitTest.TheyAreAnsweredByTheDeadlineWithWhatIsLeft"},
  {"end-deadline", "ReaperTest.WhatIsLeftAtTheDeadlineIsNamed"},
  {"spread-members", "DeliveryTest.RoomsSpreadOverTwoUnitsDeliverTheSame"},
  {"spread-members", "RoomLimitTest.FromSoManyMembersOnARoomIsOnAllThreads"},
  {"rooms-linger", "RoomLimitTest.AnEmptyRoomStaysForAWhile"},
  {"rooms-linger", "RoomLimitTest.AnEmptyRoomGivesWay"},
  {"placement-timeout", "RoomLimitTest.APlaceThatNobodyTakesIsForgotten"},
  {"placement-timeout", "RoomLimitTest.APlaceIsKeptForAWhile"},
  {"inspect-bind", "ListeningLimitTest.InspectionListensWhereItIsToldTo"},
  {"inspect-bind", "ConfigTest.BeyondThisMachineLookingNeedsAToken"},
  {"inspect-port", "InspectionTest.ItHasAPortOfItsOwn"},
  {"inspect-port", "InspectionTest.WithoutItThereIsNone"},
  {"inspect-token", "InspectionTest.ATokenReadsAndAnotherOneActs"},
  {"inspect-act-token", "InspectionTest.NobodyActsUntilThereIsAToken"},
  {"inspect-host", "InspectionTest.OnlyNamesThatAreOursAreAskedFor"},
  {"inspect-closed", "InspectionTest.SoManyClosedConnectionsAreRemembered"},
  {"inspect-connections-max",
   "InspectionTest.ConnectionsAreBoundedAndComeFree"},
  {"inspect-streams-max", "InspectionTest.StreamsAreBoundedAndComeFree"},
  {"inspect-stream-buffer",
   "InspectLimitTest.EventsThatWaitForAReaderOfATraceAreBounded"},
  {"inspect-stream-buffer",
   "InspectStreamTest.ASlowReaderOfATraceLosesEventsWithACount"},
  {"inspect-timeout", "InspectLimitTest.AQuestionIsAnsweredInTimeOr504"},
  {"inspect-timeout", "InspectApiTest.WithoutAnAnswerInTimeItIs504AndTheEnd"},
  {"log-lines-max", "DrainSignalsTest.ALogThatNobodyReadsBlocksNothing"},
  {"log-bytes-max", "DrainSignalsTest.ALogThatNobodyReadsBlocksNothing"},
};

const std::map<std::string, std::string> no_limit = {
  {"backlog", "the kernel's: a client beyond it only connects later"},
  {"log-format", "the look of the log"},
  {"log-level", "what the log leaves out"},
  {"inspect-every", "a clock"},
  {"inspect-sample", "a clock"},
};

std::set<std::string> flags() {
  std::set<std::string> result;
  std::istringstream lines{flags_markdown()};
  const std::regex row{R"(^\| `--([a-z0-9-]+))"};
  std::smatch found;
  for (std::string line; std::getline(lines, line);)
    if (std::regex_search(line, found, row))
      result.insert(found[1]);
  return result;
}

/// The tests of this tree, and whether each has a whole broker and real sockets: those
/// of test/unit have a part of it.
std::map<std::string, bool> tests() {
  std::map<std::string, bool> result;
  const std::regex test{R"(\nTEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\s*\))"};
  const std::string_view unit = "unit";
  for (auto folder :
       {unit, std::string_view{"integration"}, std::string_view{"conformance"},
        std::string_view{"hostile"}})
    for (auto& entry : std::filesystem::recursive_directory_iterator{
           std::filesystem::path{GREENROOM_SOURCE_DIR} / "test" / folder}) {
      if (entry.path().extension() != ".cpp")
        continue;
      std::ifstream in{entry.path()};
      const std::string text{std::istreambuf_iterator<char>{in}, {}};
      for (std::sregex_iterator i{text.begin(), text.end(), test}, end;
           i != end; ++i)
        result[(*i)[1].str() + "." + (*i)[2].str()] = folder != unit;
    }
  return result;
}

} // namespace

TEST(LimitsTableTest, EveryFlagIsShownByATestOrIsNoLimit) {
  auto known = flags();
  EXPECT_GT(known.size(), 50u);
  for (auto& flag : known)
    EXPECT_NE(shown_by.count(flag) > 0, no_limit.count(flag) > 0)
      << "--" << flag << " needs a test here, or a reason";
  for (auto& [flag, test] : shown_by)
    EXPECT_TRUE(known.contains(flag)) << "there is no --" << flag;
  for (auto& [flag, why] : no_limit)
    EXPECT_TRUE(known.contains(flag)) << "there is no --" << flag;
}

TEST(LimitsTableTest, EveryTestItNamesIsThere) {
  auto known = tests();
  EXPECT_GT(known.size(), 300u);
  for (auto& [flag, test] : shown_by)
    EXPECT_TRUE(known.contains(test)) << test << " (--" << flag << ")";
}

TEST(LimitsTableTest, EveryLimitIsShownOverASocket) {
  auto known = tests();
  std::set<std::string> over_a_socket;
  for (auto& [flag, test] : shown_by)
    if (auto found = known.find(test); found != known.end() && found->second)
      over_a_socket.insert(flag);
  for (auto& [flag, test] : shown_by)
    EXPECT_TRUE(over_a_socket.contains(flag))
      << "--" << flag << " has " << test << ", which has no whole broker";
}
