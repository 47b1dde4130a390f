"""Where symbols are in the table of the library of PyPI's PoCL 3.0: guesses that patches.py checks.

What is elsewhere is searched, for a millisecond and a half each; a process's first program waits.
"""

from __future__ import annotations

GUESSES = {
    b"_ZL16GetTargetMachineP13_cl_device_idRN4llvm6TripleE": 453,
    b"LLVMLinkModules2": 65022,
    b"LLVMDeleteFunction": 65702,
    b"_ZN4llvm13TargetMachine19getTargetIRAnalysisEv": 66626,
    b"_ZN4llvm21TargetLibraryInfoImpl19disableAllFunctionsEv": 66886,
    b"LLVMGetNamedFunction": 67836,
    b"LLVMAddTargetLibraryInfo": 67908,
    b"LLVMDisposeModule": 70247,
    b"LLVMContextCreate": 71300,
    b"LLVMPassManagerBuilderSetOptLevel": 71562,
    b"_ZN5clang16CompilerInstance13ExecuteActionERNS_14FrontendActionE": 75752,
    b"LLVMRunPassManager": 77284,
    b"LLVMParseCommandLineOptions": 83051,
    b"_ZN5clang7CodeGen15CodeGenFunction19checkTargetFeatures"
    b"ENS_14SourceLocationEPKNS_12FunctionDeclE": 84442,
    b"_ZN4llvm21TargetLibraryInfoImplC1ERKNS_6TripleE": 88210,
    b"_ZN4llvm6TripleC1ERKNS_5TwineE": 88589,
    b"_ZN4llvm6legacy11PassManager3addEPNS_4PassE": 97499,
    b"_ZN4llvm11PassBuilder29buildPerModuleDefaultPipelineENS_17OptimizationLevelEb": 98199,
    b"LLVMCreatePassManager": 107016,
    b"LLVMPassManagerBuilderCreate": 107146,
    b"LLVMParseIRInContext": 110237,
    b"LLVMContextDispose": 110809,
    b"pocl_write_module": 111578,
    b"LLVMCreateMemoryBufferWithMemoryRangeCopy": 112847,
    b"_ZN4llvm18PassManagerBuilder25populateModulePassManager"
    b"ERNS_6legacy15PassManagerBaseE": 114194,
    b"_ZN4llvm18PassManagerBuilder15addVectorPassesERNS_6legacy15PassManagerBaseEb": 122556,
    b"_ZTVN4llvm19raw_svector_ostreamE": 89112,
    b"_ZN4llvm28TargetLibraryInfoWrapperPassC1ERKNS_6TripleE": 115828,
    b"_ZN4llvm17LLVMTargetMachine19addPassesToEmitFileERNS_6legacy15PassManagerBaseE"
    b"RNS_17raw_pwrite_streamEPS4_NS_15CodeGenFileTypeEbPNS_28MachineModuleInfoWrapperPassE": 98264,
    b"_ZTVN4llvm16X86TargetMachineE": 106297,
    b"_ZN4llvm16X86TargetMachineD0Ev": 116390,
    b"_ZN4llvm18getTheX86_64TargetEv": 116809,
    b"_ZN4llvm21RegisterTargetMachineINS_16X86TargetMachineEE9AllocatorERKNS_6TargetERKNS_6TripleENS_"
    b"9StringRefES9_RKNS_13TargetOptionsENS_8OptionalINS_5Reloc5ModelEEENSD_INS_9CodeModel5ModelEEENS_"
    b"10CodeGenOpt5LevelEb": 122829,
    b"pocl_llvm_build_program": 128173,
    b"_ZN4llvm36createTargetTransformInfoWrapperPassENS_16TargetIRAnalysisE": 132425,
    b"LLVMSetValueName2": 136567,
    b"_ZN4llvm11PassBuilder34buildThinLTOPreLinkDefaultPipelineENS_17OptimizationLevelE": 137807,
}
