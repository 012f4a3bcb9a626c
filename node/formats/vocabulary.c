#include "node/formats/vocabulary.h"

#include <string.h>

const cn_vocabulary cn_vocabulary_biz_step = {
    .web = "https://ref.gs1.org/cbv/BizStep-",
    .urn = "urn:epcglobal:cbv:bizstep:",
    .words = " "
             "accepting arriving assembling collecting commissioning consigning creating_class_instance "
             "cycle_counting decommissioning departing destroying disassembling dispensing encoding "
             "entering_exiting holding inspecting installing killing loading other packing picking receiving "
             "removing repackaging repairing replacing reserving retail_selling shipping staging_outbound "
             "stock_taking stocking storing transporting unloading unpacking void_shipping sensor_reporting "
             "sampling ",
};

const cn_vocabulary cn_vocabulary_disposition = {
    .web = "https://ref.gs1.org/cbv/Disp-",
    .urn = "urn:epcglobal:cbv:disp:",
    .words = " "
             "active container_closed damaged destroyed dispensed disposed encoded expired in_progress "
             "in_transit inactive no_pedigree_match non_sellable_other partially_dispensed recalled reserved "
             "retail_sold returned sellable_accessible sellable_not_accessible stolen unknown available "
             "completeness_verified completeness_inferred conformant container_open mismatch_instance "
             "mismatch_class mismatch_quantity needs_replacement non_conformant unavailable ",
};

const cn_vocabulary cn_vocabulary_transaction_type = {
    .web = "https://ref.gs1.org/cbv/BTT-",
    .urn = "urn:epcglobal:cbv:btt:",
    .words = " "
             "bol cert desadv inv pedigree po poc prodorder recadv rma testprd testres upevt ",
};

const cn_vocabulary cn_vocabulary_party_type = {
    .web = "https://ref.gs1.org/cbv/SDT-",
    .urn = "urn:epcglobal:cbv:sdt:",
    .words = " "
             "owning_party possessing_party location ",
};

const cn_vocabulary cn_vocabulary_error_reason = {
    .web = "https://ref.gs1.org/cbv/ER-",
    .urn = "urn:epcglobal:cbv:er:",
    .words = " "
             "did_not_occur incorrect_data ",
};

const cn_vocabulary cn_vocabulary_measurement = {
    .web = "https://gs1.org/voc/",
    .words = " "
             "AbsoluteHumidity AbsorbedDose AbsorbedDoseRate Acceleration Radioactivity Altitude "
             "AmountOfSubstance AmountOfSubstancePerUnitVolume Angle AngularAcceleration AngularMomentum "
             "AngularVelocity Area Capacitance Conductance Conductivity Count Density Dimensionless "
             "DoseEquivalent DoseEquivalentRate DynamicViscosity ElectricCharge ElectricCurrent "
             "ElectricCurrentDensity ElectricFieldStrength Energy Exposure Force Frequency Illuminance "
             "Inductance Irradiance KinematicViscosity Length LinearMomentum Luminance LuminousFlux "
             "LuminousIntensity MagneticFlux MagneticFluxDensity MagneticVectorPotential Mass "
             "MassConcentration MassFlowRate MassPerAreaTime MemoryCapacity MolalityOfSolute MolarEnergy "
             "MolarMass MolarVolume Power Pressure RadiantFlux RadiantIntensity RelativeHumidity Resistance "
             "Resistivity SolidAngle SpecificVolume Speed SurfaceDensity SurfaceTension Temperature Time "
             "Torque Voltage Volume VolumeFlowRate VolumeFraction VolumetricFlux Wavenumber ",
};

const cn_vocabulary cn_vocabulary_alert = {
    .web = "https://gs1.org/voc/",
    .words = " "
             "ALARM_CONDITION ERROR_CONDITION ",
};

const cn_vocabulary cn_vocabulary_component = {
    .web = "https://ref.gs1.org/cbv/Comp-",
    .words = " "
             "x y z axial_distance azimuth height spherical_radius polar_angle elevation_angle easting "
             "northing latitude longitude altitude ",
};

static bool has_word(const cn_vocabulary *v, cn_text word)
{
    for (const char *at = v->words; at[1];) {
        const char *end = strchr(at + 1, ' ');
        if ((size_t)(end - at - 1) == word.n && memcmp(at + 1, word.s, word.n) == 0)
            return true;
        at = end;
    }
    return false;
}

static bool behind(cn_text term, const char *prefix, cn_text *ret)
{
    if (!prefix || !cn_text_begins(term, prefix))
        return false;
    *ret = (cn_text){term.s + strlen(prefix), term.n - strlen(prefix)};
    return true;
}

cn_term_kind cn_vocabulary_find(const cn_vocabulary *v, cn_text term, cn_text *ret_word)
{
    cn_text word = term;
    bool standard = memchr(term.s, ':', term.n) == NULL || behind(term, v->web, &word) || behind(term, v->urn, &word);
    if (!standard)
        return CN_TERM_OTHER;
    if (!has_word(v, word))
        return CN_TERM_UNKNOWN;
    *ret_word = word;
    return CN_TERM_STANDARD;
}
