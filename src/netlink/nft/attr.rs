//! Numbers of nf_tables (`include/uapi/linux/netfilter/nf_tables.h`, `nfnetlink.h`). neli has none of them.
#![allow(missing_docs)]

/// NFNL_SUBSYS_NFTABLES in the upper byte of a message's type.
const SUBSYSTEM: u16 = 10 << 8;
pub const NEWTABLE: u16 = SUBSYSTEM;
pub const GETTABLE: u16 = SUBSYSTEM | 1;
pub const DELTABLE: u16 = SUBSYSTEM | 2;
pub const NEWCHAIN: u16 = SUBSYSTEM | 3;
pub const GETCHAIN: u16 = SUBSYSTEM | 4;
pub const DELRULE: u16 = SUBSYSTEM | 8;
pub const NEWRULE: u16 = SUBSYSTEM | 6;
pub const GETRULE: u16 = SUBSYSTEM | 7;

pub const NEWSET: u16 = SUBSYSTEM | 9;
pub const NEWSETELEM: u16 = SUBSYSTEM | 12;
pub const GETSETELEM: u16 = SUBSYSTEM | 13;
pub const DELSETELEM: u16 = SUBSYSTEM | 14;

pub const BATCH_BEGIN: u16 = 0x10;
pub const BATCH_END: u16 = 0x11;

pub const NFPROTO_UNSPEC: u8 = 0;
pub const NFPROTO_INET: u8 = 1;
pub const NFPROTO_NETDEV: u8 = 5;
pub const NFPROTO_IPV4: u8 = 2;
pub const NFPROTO_IPV6: u8 = 10;
pub const NFPROTO_BRIDGE: u8 = 7;

pub const NFTA_TABLE_NAME: u16 = 1;
pub const NFTA_TABLE_FLAGS: u16 = 2;
pub const NFTA_TABLE_USE: u16 = 3;
pub const NFTA_TABLE_USERDATA: u16 = 6;

pub const NFTA_CHAIN_TABLE: u16 = 1;
pub const NFTA_CHAIN_NAME: u16 = 3;
pub const NFTA_CHAIN_HOOK: u16 = 4;
pub const NFTA_CHAIN_POLICY: u16 = 5;
pub const NFTA_CHAIN_USE: u16 = 6;
pub const NFTA_CHAIN_TYPE: u16 = 7;
pub const NFTA_HOOK_HOOKNUM: u16 = 1;
pub const NFTA_HOOK_PRIORITY: u16 = 2;
pub const NFTA_HOOK_DEV: u16 = 3;
pub const NFTA_HOOK_DEVS: u16 = 4;

pub const NFTA_RULE_TABLE: u16 = 1;
pub const NFTA_RULE_CHAIN: u16 = 2;
pub const NFTA_RULE_HANDLE: u16 = 3;
pub const NFTA_RULE_EXPRESSIONS: u16 = 4;
pub const NFTA_RULE_POSITION: u16 = 6;
pub const NFTA_RULE_USERDATA: u16 = 7;

pub const NFTA_SET_TABLE: u16 = 1;
pub const NFTA_SET_NAME: u16 = 2;
pub const NFTA_SET_FLAGS: u16 = 3;
pub const NFTA_SET_KEY_TYPE: u16 = 4;
pub const NFTA_SET_KEY_LEN: u16 = 5;
pub const NFTA_SET_DATA_TYPE: u16 = 6;
pub const NFTA_SET_DATA_LEN: u16 = 7;
pub const NFTA_SET_DESC: u16 = 9;
pub const NFTA_SET_ID: u16 = 10;
pub const NFTA_SET_TIMEOUT: u16 = 11;
pub const NFTA_SET_USERDATA: u16 = 13;
pub const NFTA_SET_ELEM_LIST_TABLE: u16 = 1;
pub const NFTA_SET_ELEM_LIST_SET: u16 = 2;
pub const NFTA_SET_ELEM_LIST_ELEMENTS: u16 = 3;
pub const NFTA_SET_ELEM_KEY: u16 = 1;
pub const NFTA_SET_ELEM_DATA: u16 = 2;
pub const NFTA_SET_ELEM_FLAGS: u16 = 3;
pub const NFTA_SET_ELEM_USERDATA: u16 = 6;

pub const NFTA_META_KEY: u16 = 2;
pub const META_IIF: u32 = 4;
pub const META_IIFNAME: u32 = 6;
pub const META_OIFNAME: u32 = 7;
pub const META_IIFTYPE: u32 = 8;
pub const META_NFPROTO: u32 = 15;
pub const META_L4PROTO: u32 = 16;
pub const META_PKTTYPE: u32 = 19;
pub const META_IIFGROUP: u32 = 21;
pub const META_OIFGROUP: u32 = 22;
pub const META_IIFKIND: u32 = 26;
pub const META_OIFKIND: u32 = 27;

pub const NFTA_CMP_OP: u16 = 2;
pub const NFTA_CMP_DATA: u16 = 3;
pub const NFTA_IMMEDIATE_DATA: u16 = 2;
/// NFT_CMP_EQ.
pub const EQUAL: u32 = 0;
/// NFT_CMP_NEQ.
pub const NOT_EQUAL: u32 = 1;

pub const NFTA_LIST_ELEM: u16 = 1;
pub const NFTA_EXPR_NAME: u16 = 1;
pub const NFTA_EXPR_DATA: u16 = 2;
pub const NFTA_DATA_VALUE: u16 = 1;
pub const NFTA_DATA_VERDICT: u16 = 2;
pub const NFTA_VERDICT_CODE: u16 = 1;
pub const NFTA_VERDICT_CHAIN: u16 = 2;

pub const NF_DROP: u32 = 0;
pub const NF_ACCEPT: u32 = 1;
/// -3
pub const NFT_JUMP: u32 = u32::MAX - 2;
/// -4
pub const NFT_GOTO: u32 = u32::MAX - 3;
/// -5
pub const NFT_RETURN: u32 = u32::MAX - 4;

pub const NFTA_CT_KEY: u16 = 2;
pub const NFTA_PAYLOAD_BASE: u16 = 2;
pub const NFTA_PAYLOAD_OFFSET: u16 = 3;
pub const NFTA_PAYLOAD_LEN: u16 = 4;
pub const NFTA_BITWISE_MASK: u16 = 4;
pub const NFTA_LOOKUP_SET: u16 = 1;
pub const NFTA_LOOKUP_DREG: u16 = 3;
pub const NFTA_LOOKUP_FLAGS: u16 = 5;
pub const NFTA_TARGET_NAME: u16 = 1;
pub const NFTA_MATCH_NAME: u16 = 1;
pub const NFTA_MATCH_INFO: u16 = 3;
